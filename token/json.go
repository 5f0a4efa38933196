package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendJSON appends the members that are present as JSON.stringify writes
// them. encoding/json cannot do it: it escapes U+2028 and U+2029, so the text
// would not be the one that oRPC signs.
func (c *claims) appendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, `{"chn":`...)
	dst = appendText(dst, *c.Channel)
	if c.Tags != nil {
		dst = append(dst, `,"tags":`...)
		dst = appendTexts(dst, c.Tags)
	}
	if len(c.Att) > 0 {
		dst = append(dst, `,"att":`...)
		att := bytes.NewBuffer(dst)
		if err := json.Compact(att, c.Att); err != nil {
			return nil, fmt.Errorf("att: %w", err)
		}
		dst = att.Bytes()
	}
	if c.RPC != nil {
		dst = append(dst, `,"rpc":`...)
		dst = appendTexts(dst, c.RPC)
	}
	dst = append(dst, `,"iat":`...)
	dst = strconv.AppendFloat(dst, float64(*c.IssuedAt), 'f', -1, 64)
	dst = append(dst, `,"exp":`...)
	dst = strconv.AppendFloat(dst, float64(*c.ExpiresAt), 'f', -1, 64)
	dst = append(dst, '}')
	if !utf8.Valid(dst) {
		return nil, errNotUTF8
	}
	return dst, nil
}

func appendTexts(dst []byte, list texts) []byte {
	dst = append(dst, '[')
	for i, text := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, text)
	}
	return append(dst, ']')
}

func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch b := text[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\b':
			dst = append(dst, `\b`...)
		case b == '\t':
			dst = append(dst, `\t`...)
		case b == '\n':
			dst = append(dst, `\n`...)
		case b == '\f':
			dst = append(dst, `\f`...)
		case b == '\r':
			dst = append(dst, `\r`...)
		case b < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, b)
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}
