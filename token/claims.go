package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// lastSecond is the last Unix second of the year 9999. Times that are read lie in
// the years 1 to 9999, so that every layout of package time can write them.
const lastSecond = 253402300799

// maxIDBytes is the length of the longest ID that Sign accepts.
const maxIDBytes = 256

// claims are the members of a payload as they are on the wire, in the order
// in which they are signed. A nil member is absent. The bounds of the times are
// the first second of the year 1, which is Go's zero time, and the year 10000.
type claims struct {
	Channel   *string         `wire:"chn" validate:"required"`
	Tags      nonNullStrings  `wire:"tags"`
	Att       json.RawMessage `wire:"att"`
	RPC       nonNullStrings  `wire:"rpc"`
	IssuedAt  *seconds        `wire:"iat" validate:"required,gt=-62135596800,lt=253402300800"`
	ExpiresAt *seconds        `wire:"exp" validate:"required,gt=-62135596800,lt=253402300800"`
	ID        string          `wire:"jti"`
}

// validate checks claims by their struct tags. Its errors have the names of the wire.
var validate = func() *validator.Validate {
	v := validator.New()
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("wire") })
	return v
}()

// decode reads the JSON of a payload. Every error wraps [ErrMalformed].
func decode(text []byte) (*Payload, error) {
	m, err := readMembers(text)
	if err != nil {
		return nil, err
	}
	return m.payload(text)
}

// members maps the exact names of the members of a payload's JSON to their values.
type members map[string]json.RawMessage

// readMembers reads the JSON of a payload. Every error wraps [ErrMalformed].
func readMembers(text []byte) (members, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, errNotUTF8)
	}
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}

// payload returns the payload with the members m, which were read from text. Every
// error wraps [ErrMalformed].
func (m members) payload(text []byte) (*Payload, error) {
	c, err := m.claims()
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return &Payload{
		Channel:   *c.Channel,
		Tags:      c.Tags,
		RPC:       c.RPC,
		Att:       c.Att,
		IssuedAt:  c.IssuedAt.time(),
		ExpiresAt: c.ExpiresAt.time(),
		ID:        c.ID,
		Raw:       text,
	}, nil
}

// claims decodes the members one by one and not straight into the struct, because
// encoding/json would accept names that differ in case. An expiry after [lastSecond]
// becomes that second, because oRPC accepts it, even an infinite one.
func (m members) claims() (*claims, error) {
	c := &claims{Att: m["att"]}
	for _, member := range [...]struct {
		name string
		into any
	}{
		{"chn", &c.Channel},
		{"tags", &c.Tags},
		{"rpc", &c.RPC},
		{"iat", &c.IssuedAt},
		{"exp", &c.ExpiresAt},
	} {
		value, ok := m[member.name]
		if !ok {
			continue
		}
		if string(value) == "null" { // would be decoded as an absent member
			return nil, fmt.Errorf("%s is null", member.name)
		}
		if err := json.Unmarshal(value, member.into); err != nil {
			return nil, fmt.Errorf("%s: %w", member.name, err)
		}
	}
	if id := ""; json.Unmarshal(m["jti"], &id) == nil { // oRPC has no such member, so it may be anything
		c.ID = id
	}
	if c.ExpiresAt != nil {
		*c.ExpiresAt = min(*c.ExpiresAt, lastSecond)
	}
	return c, nil
}

// encode returns the JSON of a payload. Every error wraps [ErrInvalidPayload].
func encode(p *Payload) ([]byte, error) {
	issuedAt := p.IssuedAt
	if issuedAt.IsZero() {
		issuedAt = time.Now()
	}
	iat, exp := seconds(issuedAt.Unix()), secondsOf(p.ExpiresAt)
	c := &claims{
		Channel:   &p.Channel,
		Tags:      p.Tags,
		Att:       p.Att,
		RPC:       p.RPC,
		IssuedAt:  &iat,
		ExpiresAt: &exp,
		ID:        p.ID,
	}
	err := c.check()
	if err == nil && len(p.ID) > maxIDBytes {
		err = fmt.Errorf("jti is longer than %d bytes", maxIDBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPayload, err)
	}
	text, err := c.appendJSON(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPayload, err)
	}
	return text, nil
}

var errNotUTF8 = errors.New("not UTF-8")

// check validates the claims and returns the first failure.
func (c *claims) check() error {
	err := validate.Struct(c)
	if failed, ok := errors.AsType[validator.ValidationErrors](err); ok {
		first := failed[0]
		if first.Param() == "" {
			return fmt.Errorf("%s is %s", first.Field(), first.Tag())
		}
		return fmt.Errorf("%s must be %s %s", first.Field(), first.Tag(), first.Param())
	}
	return err
}

// seconds is a time in Unix seconds. Whole seconds are converted exactly.
type seconds float64

// UnmarshalJSON reads a number that is too large for a float64 as infinite, as
// JavaScript does.
func (s *seconds) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errors.New("not a number")
	}
	*s = seconds(f)
	return nil
}

func secondsOf(t time.Time) seconds {
	return seconds(t.Unix()) + seconds(t.Nanosecond())/1e9
}

func (s seconds) time() time.Time {
	whole, fraction := math.Modf(float64(s))
	return time.Unix(int64(whole), int64(math.Round(fraction*1e9))).UTC()
}

// nonNullStrings is a list of strings. Unlike a []string it refuses null as an element.
type nonNullStrings []string

// UnmarshalJSON reads pointers, which distinguish null from the empty string.
func (s *nonNullStrings) UnmarshalJSON(text []byte) error {
	var list []*string
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*s = make(nonNullStrings, len(list))
	for i, element := range list {
		if element == nil {
			return fmt.Errorf("element %d is null", i)
		}
		(*s)[i] = *element
	}
	return nil
}
