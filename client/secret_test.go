package client_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// requireNoPiece fails if a text contains eight consecutive characters of a token, escaped
// or not.
func requireNoPiece(t *testing.T, tok, text string) {
	t.Helper()
	text = strings.ToLower(text)
	for i := range len(tok) - 8 + 1 {
		for _, piece := range append(escapings(tok[i:i+8]), encodings(tok[i:i+6])...) {
			require.NotContains(t, text, strings.ToLower(piece))
		}
	}
}

// encodings returns the encodings of a text.
func encodings(text string) []string {
	b := []byte(text)
	return []string{base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b), hex.EncodeToString(b)}
}

// escapings returns the ways in which a text may be escaped.
func escapings(text string) []string {
	var unicode, braced, long, octal, percent, decimal strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&unicode, `\u%04x`, c)
		fmt.Fprintf(&braced, `\u{%x}`, c)
		fmt.Fprintf(&long, `\U%08x`, c)
		fmt.Fprintf(&octal, `\%03o`, c)
		fmt.Fprintf(&percent, `%%%02x`, c)
		fmt.Fprintf(&decimal, `&#%d;`, c)
	}
	quoted, _ := json.Marshal(text)
	return []string{
		text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), strings.Trim(string(quoted), `"`),
		unicode.String(), braced.String(), long.String(), octal.String(), percent.String(), decimal.String(),
		url.QueryEscape(url.QueryEscape(text)), html.EscapeString(url.QueryEscape(text)),
		strings.Trim(fmt.Sprintf("%+q", text), `"`),
	}
}

// everything returns all strings that can be obtained from an error.
func everything(err error) string {
	var b strings.Builder
	var walk func(err error)
	walk = func(err error) {
		if err == nil {
			return
		}
		fmt.Fprintf(&b, "%v %+v %#v\n", err, err, err)
		switch e := err.(type) { //nolint:errorlint // each error of the tree, one by one
		case *rpc.Error:
			fmt.Fprintf(&b, "%+v\n", e.Data)
			if value, ok := e.Data.(value.Value); ok {
				text, _ := value.Append(nil)
				b.Write(text)
			}
		case *url.Error:
			b.WriteString(e.URL)
		}
		switch e := err.(type) { //nolint:errorlint // as above
		case interface{ Unwrap() []error }:
			for _, part := range e.Unwrap() {
				walk(part)
			}
		default:
			walk(errors.Unwrap(err))
		}
	}
	walk(err)
	return b.String()
}
