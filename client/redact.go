package client

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	// pieceLen is the length of the shortest part of a token that is removed.
	pieceLen = 8
	// unescapeRounds is how many levels of escaping are undone to find a token.
	unescapeRounds = 4
	// maxBraced is the maximum length of an escape in braces, including the closing one.
	maxBraced = 9

	redacted = "[redacted]"
)

// redactor removes tokens and parts of them from errors: servers and proxies repeat the
// address of a request, escaped in various ways.
type redactor struct {
	pieces map[[pieceLen]byte]struct{} // all parts of the tokens, folded
	shapes bool                        // also remove everything that looks like a token
}

// newRedactor returns a redactor of these tokens, and of everything that looks like a token.
func newRedactor(tokens ...string) *redactor {
	r := &redactor{pieces: map[[pieceLen]byte]struct{}{}, shapes: true}
	for _, tok := range tokens {
		r.addPieces(tok)
	}
	return r
}

// newSignatureRedactor returns a redactor that removes only the signatures of tokens. The
// rest of a token has names that also occur in the application's own errors.
func newSignatureRedactor(tokens ...string) *redactor {
	r := &redactor{pieces: map[[pieceLen]byte]struct{}{}}
	for _, tok := range tokens {
		if strings.Contains(tok, "{") { // in oRPC's form only the signature is opaque
			tok = tok[strings.LastIndexByte(tok, '.')+1:]
		}
		r.addPieces(tok)
	}
	return r
}

// addPieces adds the pieces of a text, of its encoding in hexadecimal, and of its encoding in
// Base64 at each of the three possible offsets.
func (r *redactor) addPieces(text string) {
	r.addPlain(text)
	r.addPlain(hex.EncodeToString([]byte(text)))
	for i := range min(3, len(text)) {
		r.addPlain(base64.RawStdEncoding.EncodeToString([]byte(text[i:])))
		r.addPlain(base64.RawURLEncoding.EncodeToString([]byte(text[i:])))
	}
}

func (r *redactor) addPlain(text string) {
	folded := fold(text)
	for i := range len(folded) - pieceLen + 1 {
		r.pieces[[pieceLen]byte(folded[i:])] = struct{}{}
	}
}

// fold maps strings that are equivalent in an address to the same bytes.
func fold(text string) []byte {
	folded := []byte(text)
	for i, c := range folded {
		switch {
		case 'A' <= c && c <= 'Z':
			folded[i] += 'a' - 'A'
		case c == '+':
			folded[i] = ' '
		}
	}
	return folded
}

// text removes pieces of tokens from a text: unescaped pieces, the words that have escaped
// ones, or the whole text if they are spread over several words, or if the end of a token
// cannot be found.
func (r *redactor) text(text string) string {
	text = r.cut(text)
	if !r.taints(text) {
		return text
	}
	known := redactor{pieces: r.pieces}
	words := strings.Fields(text)
	for i, word := range words {
		if known.taints(word) {
			words[i] = redacted
		}
	}
	if text = strings.Join(words, " "); r.taints(text) {
		return redacted
	}
	return text
}

// taints reports whether a text contains a piece of a token, escaped or not.
func (r *redactor) taints(text string) bool {
	for range unescapeRounds {
		if r.looksLikeToken(text) || r.has(text) {
			return true
		}
		plain := unescape(text)
		if plain == text {
			return false
		}
		text = plain
	}
	return r.has(text)
}

func (r *redactor) has(text string) bool {
	folded := fold(text)
	for i := range len(folded) - pieceLen + 1 {
		if _, found := r.pieces[[pieceLen]byte(folded[i:])]; found {
			return true
		}
	}
	return false
}

// looksLikeToken reports whether a text contains the first member of oRPC's tokens or the
// beginning of a JWT.
func (r *redactor) looksLikeToken(text string) bool {
	if !r.shapes {
		return false
	}
	return strings.Contains(text, `"chn"`) || strings.Contains(text, "eyJ") && strings.Count(text, ".") >= 2
}

// cut replaces the unescaped pieces in a text.
func (r *redactor) cut(text string) string {
	folded := fold(text)
	var b strings.Builder
	kept, end := 0, 0 // the end of the written part, and of the current run of pieces
	for i := range len(folded) - pieceLen + 1 {
		if _, found := r.pieces[[pieceLen]byte(folded[i:])]; !found {
			continue
		}
		if i > end || end == 0 {
			b.WriteString(text[kept:i])
			b.WriteString(redacted)
		}
		end = i + pieceLen
		kept = end
	}
	return b.String() + text[kept:]
}

// unescape undoes one level of percent, backslash and HTML escapes. Invalid escapes are left
// unchanged.
func unescape(text string) string {
	if !strings.ContainsAny(text, `%\&`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		n, plain := unescapeOne(text[i:])
		b.WriteString(plain)
		i += n
	}
	return html.UnescapeString(b.String())
}

// unescapeOne returns the length of the first escape or character of text, and its meaning.
func unescapeOne(text string) (n int, plain string) {
	switch {
	case text[0] == '%' && len(text) >= 3:
		if c, err := strconv.ParseUint(text[1:3], 16, 8); err == nil {
			return 3, string([]byte{byte(c)})
		}
	case strings.HasPrefix(text, `\x`) && len(text) >= 4:
		if c, err := strconv.ParseUint(text[2:4], 16, 8); err == nil {
			return 4, string([]byte{byte(c)})
		}
	case strings.HasPrefix(text, `\u{`):
		digits, _, ok := strings.Cut(text[3:min(len(text), 3+maxBraced)], "}")
		if c, err := strconv.ParseUint(digits, 16, 21); ok && err == nil {
			return len(`\u{}`) + len(digits), string(rune(c))
		}
	case strings.HasPrefix(text, `\u`) && len(text) >= 6:
		c, err := strconv.ParseUint(text[2:6], 16, 16)
		if err == nil && !utf16.IsSurrogate(rune(c)) {
			return 6, string(rune(c))
		}
	case strings.HasPrefix(text, `\U`) && len(text) >= 10:
		if c, err := strconv.ParseUint(text[2:10], 16, 21); err == nil {
			return 10, string(rune(c))
		}
	case text[0] == '\\' && len(text) >= 4 && '0' <= text[1] && text[1] <= '3':
		if c, err := strconv.ParseUint(text[1:4], 8, 8); err == nil {
			return 4, string([]byte{byte(c)})
		}
	case text[0] == '\\' && len(text) >= 2 && strings.IndexByte(`"'\/`, text[1]) >= 0:
		return 2, text[1:2]
	}
	return 1, text[:1]
}

func (r *redactor) header(header http.Header) http.Header {
	clean := make(http.Header, len(header))
	for name, values := range header {
		for _, value := range values {
			clean[r.text(name)] = append(clean[r.text(name)], r.text(value))
		}
	}
	return clean
}

// clean returns err without tokens. If it has none, it is returned unchanged. Otherwise
// errors.Is works as for err, and errors.As for the types that this package looks for.
func (r *redactor) clean(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := &redactedError{text: r.text(text), is: func(target error) bool { return errors.Is(err, target) }}
	changed := clean.text != text
	if sent, ok := errors.AsType[*rpc.Error](err); ok && sent != nil {
		own, other := r.sentError(sent)
		clean.parts = append(clean.parts, own)
		changed = changed || other
		if other && sent == err { //nolint:errorlint // the error itself, in place of one that wraps it
			return own
		}
	}
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		if closed.Reason != reasonExpired {
			closed.Reason = r.text(closed.Reason)
		}
		clean.parts = append(clean.parts, closed)
	}
	if !changed {
		return err
	}
	return clean
}

// sentError returns a copy of e without tokens, and reports whether it differs.
func (r *redactor) sentError(e *rpc.Error) (clean *rpc.Error, changed bool) {
	own := rpc.Error{Code: e.Code, Status: e.Status, Message: r.text(e.Message), Data: e.Data, Defined: e.Defined}
	if e.Code != transport.AnswerError(e.Status, nil, "").Code {
		own.Code = rpc.Code(r.text(string(e.Code)))
	}
	changed = own.Message != e.Message || own.Code != e.Code
	if cause := e.Unwrap(); cause != nil && r.text(cause.Error()) != cause.Error() {
		changed = true // own has no cause
	}
	switch data := e.Data.(type) {
	case nil:
	case rpc.ErrorResponse:
		if text := fmt.Sprint(data.Headers, data.Body); r.text(text) != text {
			own.Data = rpc.ErrorResponse{Status: data.Status, Headers: r.header(data.Headers), Body: r.body(data.Body)}
			changed = true
		}
	default:
		if own.Data = r.body(data); own.Data == nil {
			own.Defined, changed = false, true
		}
	}
	if !changed {
		return e, false
	}
	return &own, true
}

// body returns data without tokens. If data is not a string and contains one, body returns
// nil.
func (r *redactor) body(data any) any {
	if text, ok := data.(string); ok {
		return r.text(text)
	}
	text := fmt.Sprintf("%+v", data)
	if value, ok := data.(value.Value); ok {
		encoded, _ := value.Append(nil)
		text = string(encoded)
	}
	if r.text(text) != text {
		return nil
	}
	return data
}

// redactedError replaces an error that contains a token.
type redactedError struct {
	text  string
	is    func(target error) bool
	parts []error
}

// Error returns the text of the error, without the token.
func (e *redactedError) Error() string { return e.text }

// Is reports whether the error was target.
func (e *redactedError) Is(target error) bool { return e.is(target) }

// Unwrap returns the parts of the error that have the types that a client looks for.
func (e *redactedError) Unwrap() []error { return e.parts }
