package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// appendJSON appends the JSON of the members that are present, exactly as
// JSON.stringify writes it, because its bytes are signed. encoding/json would escape
// U+2028 and U+2029, which JSON.stringify does not.
func (c *claims) appendJSON(dst []byte) ([]byte, error) {
	for _, text := range slices.Concat([]string{*c.Channel, c.ID}, c.Tags, c.RPC) {
		if !utf8.ValidString(text) {
			return nil, errNotUTF8
		}
	}
	dst = append(dst, `{"chn":`...)
	dst = jsontext.AppendString(dst, *c.Channel)
	if c.Tags != nil {
		dst = append(dst, `,"tags":`...)
		dst = jsontext.AppendStrings(dst, c.Tags)
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
		dst = jsontext.AppendStrings(dst, c.RPC)
	}
	dst = append(dst, `,"iat":`...)
	dst = strconv.AppendFloat(dst, float64(*c.IssuedAt), 'f', -1, 64)
	dst = append(dst, `,"exp":`...)
	dst = strconv.AppendFloat(dst, float64(*c.ExpiresAt), 'f', -1, 64)
	if c.ID != "" {
		dst = append(dst, `,"jti":`...)
		dst = jsontext.AppendString(dst, c.ID)
	}
	dst = append(dst, '}')
	if !utf8.Valid(dst) {
		return nil, errNotUTF8
	}
	return dst, nil
}
