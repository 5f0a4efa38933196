package peer

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSketch(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<20)
	tests := map[string]struct {
		message string
		want    DecodeError
	}{
		"a large event":              {`{"i":"1","t":3,"p":{"e":"message","d":{"json":"` + large + `"},"m":{"id":"7"}}}`, DecodeError{ID: ID(`"1"`), Event: true, Kind: EventMessage, EventID: "7"}},
		"in another order":           {`{"p":{"m":{"retry":5,"id":"7"},"d":{"json":["` + large + `"]},"e":"done"},"t":3,"i":1}`, DecodeError{ID: ID(`1`), Event: true, Kind: EventDone, EventID: "7"}},
		"with white space":           {"{ \"i\" : \"1\" ,\n\"t\": 3 , \"p\":{\"m\" : { \"id\" : \"7\" } } }", DecodeError{ID: ID(`"1"`), Event: true, EventID: "7"}},
		"a large answer":             {`{"i":"12","p":{"b":{"json":"` + large, DecodeError{ID: ID(`"12"`)}},
		"members like an id":         {`{"i":"1","t":3,"p":{"e":"message","d":{"json":{"m":{"id":"no"},"p":{"m":{"id":"no"}}},"id":"no"},"x":{"id":"no"}}}`, DecodeError{ID: ID(`"1"`), Event: true, Kind: EventMessage}},
		"strings with escapes":       {`{"i":"1","t":3,"p":{"e":"message","d":"\\\"\",\"m\":{\"id\":\"no\"}}","m":{"id":"a\"b"}}}`, DecodeError{ID: ID(`"1"`), Event: true, Kind: EventMessage, EventID: `a"b`}},
		"a list in place of it":      {`[{"i":"1","t":3}]`, DecodeError{}},
		"a list of members":          {`{"p":["e","m",{"id":"no"}],"t":3}`, DecodeError{Event: true}},
		"an id that is not a string": {`{"i":"1","t":3,"p":{"m":{"id":7}}}`, DecodeError{ID: ID(`"1"`), Event: true}},
		"an event id of 4 KiB":       {`{"i":"1","t":3,"p":{"m":{"id":"` + large[:5000] + `"}}}`, DecodeError{ID: ID(`"1"`), Event: true}},
		"an id that is too long":     {`{"i":"` + large[:65] + `","t":3,"p":{}}`, DecodeError{Event: true}},
		"an id that is not a value":  {`{"i":oops,"t":3,"p":{}}`, DecodeError{Event: true}},
		"an id that is not UTF-8":    {"{\"i\":\"\x80\",\"p\":{}}", DecodeError{}},
		"no JSON at all":             {"}}]]::,,\"", DecodeError{}},
		"nothing":                    {"", DecodeError{}},
		"behind the message":         {`{"i":"1"}{"i":"2","t":3}`, DecodeError{ID: ID(`"1"`)}},
		"behind the delimiter":       {"{\"i\":\"1\",\xff\"t\":3}", DecodeError{ID: ID(`"1"`)}},
		"a repeated member":          {`{"i":"1","i":"2"}`, DecodeError{ID: ID(`"2"`)}},
	}
	reason := errors.New("too large")
	var s Sketch // is used for all cases, one after another
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.Err = reason
			for _, step := range []int{1, 7, 1 << 21} {
				s.Reset()
				for rest := []byte(test.message); len(rest) > 0; rest = rest[min(step, len(rest)):] {
					n, err := s.Write(rest[:min(step, len(rest))])
					require.NoError(t, err)
					require.Equal(t, min(step, len(rest)), n)
				}
				require.Equal(t, test.want, *s.Error(reason))
			}
			require.LessOrEqual(t, cap(s.scalar), 2*maxSketched, "whatever the message is")
		})
	}
}

// In a valid message, a sketch finds the same as the decoder.
func FuzzSketch(f *testing.F) {
	f.Add(`{"i":"1","t":3,"p":{"e":"message","d":{"json":1},"m":{"id":"7"}}}`)
	f.Add(`{"p":{"m":{"id":"\\u00e9\\""},"e":"x"},"t":3,"i":5}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := DecodeResponse(textFrame(text))
		event, ok := m.(*Event)
		if err != nil || !ok || !utf8.ValidString(text) || strings.Contains(text, `\`) || len(text) > maxSketched {
			return // the names are escaped, which no server does
		}
		var s Sketch
		_, _ = s.Write([]byte(text))
		found := s.Error(nil)
		require.Equal(t, string(event.ID), string(found.ID))
		require.True(t, found.Event)
		require.Equal(t, event.Kind, found.Kind)
		require.Equal(t, event.Meta.ID, found.EventID)
	})
}
