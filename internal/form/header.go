package form

import (
	"fmt"
	"mime"
	"net/textproto"
	"net/url"
	"strings"
	"unicode/utf8"
)

// header is the header of a part.
type header struct {
	name, fileName, typ string
	isFile              bool
}

// parseHeader parses the header of a part, as FormData and other senders write it: parameters may
// be in any order and without quotes, and filename* may be in addition to filename or in place of it.
//
// A part without a file name is a file, too, if its type is not text/plain, unless it is the part
// data.
func parseHeader(h textproto.MIMEHeader, javaScript bool) (header, error) {
	text := h.Get("Content-Disposition")
	params, ok := parseDisposition(text, javaScript)
	name, named := params["name"]
	if !ok || !named {
		return header{}, fmt.Errorf("%w: content disposition %.80q", ErrMalformed, text)
	}
	parsed := header{name: name, typ: "text/plain"}
	if types := h["Content-Type"]; len(types) > 0 {
		parsed.typ = printable(types[0])
	}
	parsed.fileName, parsed.isFile = params["filename"]
	if extended, ok := parseExtended(params["filename*"]); ok {
		parsed.fileName, parsed.isFile = extended, true
	}
	parsed.isFile = parsed.isFile || name != dataName && !isText(parsed.typ)
	if len(parsed.name)+len(parsed.fileName)+len(parsed.typ) > maxNames {
		return header{}, fmt.Errorf("%w: the names of a part have more than %d bytes", ErrTooLarge, maxNames)
	}
	return parsed, nil
}

// isText reports whether a part of the given type is a string.
func isText(typ string) bool {
	media, _, _ := strings.Cut(typ, ";")
	media = strings.TrimSpace(media)
	return media == "" || strings.EqualFold(media, "text/plain")
}

// parseDisposition parses a content disposition. The result has the parameters that matter, by
// their names in lower case; the first of equal names counts.
//
// FormData writes a backslash as it is, and a quote as %22. Others put a backslash before either.
// So a backslash is an escape if each one in a value can be an escape. In a form of a FormData it is
// one only if the header cannot be parsed otherwise.
func parseDisposition(text string, javaScript bool) (params map[string]string, ok bool) {
	params, ok = parseParameters(text, !javaScript)
	if !ok {
		params, ok = parseParameters(text, javaScript)
	}
	if !javaScript {
		for _, name := range []string{"name", "filename"} {
			if strings.HasPrefix(params[name], "=?") { // the encoding of mail headers
				if word, err := new(mime.WordDecoder).Decode(params[name]); err == nil {
					params[name] = word
				}
			}
		}
	}
	return params, ok
}

// parseParameters parses a content disposition, in which a backslash may be an escape.
func parseParameters(text string, escapes bool) (params map[string]string, ok bool) {
	kind, rest, more := strings.Cut(text, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return nil, false
	}
	params = make(map[string]string, 3)
	for more && strings.TrimSpace(rest) != "" { // there may be a semicolon at the end
		var name, value string
		if name, rest, ok = strings.Cut(rest, "="); !ok {
			return nil, false
		}
		if value, rest, ok = cutValue(strings.TrimLeft(rest, " \t"), escapes); !ok {
			return nil, false
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "name", "filename", "filename*":
			if _, again := params[name]; !again {
				params[name] = unescapeName(value)
			}
		}
		if rest = strings.TrimSpace(rest); rest != "" {
			if rest, more = strings.CutPrefix(rest, ";"); !more {
				return nil, false
			}
		}
	}
	return params, true
}

// cutValue returns the value of a parameter that text begins with, and the rest of text.
func cutValue(text string, escapes bool) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text, ';')
		if end < 0 {
			end = len(text)
		}
		value = strings.TrimSpace(text[:end])
		return value, text[end:], !strings.ContainsAny(value, `" `)
	}
	text = text[1:]
	if !escapes {
		return strings.Cut(text, `"`)
	}
	var b strings.Builder
	plain := false // whether there is a backslash that is not an escape
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"' && plain: // so none of them is
			return text[:i], text[i+1:], !strings.Contains(text[:i], `\"`)
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
		case text[i] == '\\':
			plain = true
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// parseExtended parses an extended value by RFC 8187: charset, language and encoded text, with
// apostrophes between them.
func parseExtended(text string) (value string, ok bool) {
	charset, rest, _ := strings.Cut(text, "'")
	_, encoded, ok := strings.Cut(rest, "'")
	value, err := url.PathUnescape(encoded)
	if !ok || err != nil {
		return "", false
	}
	switch strings.ToLower(charset) {
	case "utf-8":
		return strings.ToValidUTF8(value, "\uFFFD"), true
	case "iso-8859-1":
		latin := make([]byte, 0, 2*len(value))
		for i := range len(value) {
			latin = utf8.AppendRune(latin, rune(value[i]))
		}
		return string(latin), true
	}
	return "", false
}
