package sse

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

func TestAppend(t *testing.T) {
	t.Parallel()

	t.Run("ES-001 data with line breaks is read as one text", func(t *testing.T) {
		t.Parallel()
		for sent, got := range map[string]string{
			"":            "",
			"a\nb":        "a\nb",
			"a\r\nb\rc\n": "a\nb\nc\n",
			"\n\r\r\n":    "\n\n\n",
			"a\n b: c":    "a\n b: c",
		} {
			require.Equal(t, []*Message{data(got)}, readText(t, appendText(t, data(sent))), "%q", sent)
		}
	})
	t.Run("ES-002 ES-005 an invalid message is refused completely", func(t *testing.T) {
		t.Parallel()
		negative, huge := int64(-1), int64(1<<53)
		for name, m := range map[string]Message{
			"event with LF":   {Event: "a\nb"},
			"event with CR":   {Event: "a\rb"},
			"id with LF":      {Meta: peer.EventMeta{ID: "\n", HasID: true}},
			"id with CR":      {Meta: peer.EventMeta{ID: "\r", HasID: true}},
			"comment with LF": {Meta: peer.EventMeta{Comments: []string{"fine", "a\n"}}},
			"comment with CR": {Meta: peer.EventMeta{Comments: []string{"fine", "\ra"}}},
			"negative retry":  {Meta: peer.EventMeta{Retry: &negative}},
			"huge retry":      {Meta: peer.EventMeta{Retry: &huge}},
		} {
			m.Data = []byte("data")
			text, err := Append([]byte("before"), &m)
			require.ErrorIs(t, err, ErrInvalid, name)
			require.Equal(t, "before", string(text), name)
		}
	})
	t.Run("an id without HasID is not written", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "\n", appendText(t, &Message{Meta: peer.EventMeta{ID: "1"}}))
	})
	t.Run("a reader skips a blank line", func(t *testing.T) {
		t.Parallel()
		text := appendText(t, new(Message)) + appendText(t, data("a")) + appendText(t, new(Message))
		require.Equal(t, []*Message{data("a")}, readText(t, text))
	})
}

func TestKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message Message
		want    peer.EventKind // empty: to be skipped
	}{
		"message":               {Message{Event: "message"}, peer.EventMessage},
		"error":                 {Message{Event: "error"}, peer.EventError},
		"done":                  {Message{Event: "done"}, peer.EventDone},
		"close":                 {Message{Event: "close"}, peer.EventDone},
		"data only":             {Message{Data: []byte{}}, peer.EventMessage},
		"other name":            {Message{Event: "ping", Data: []byte("1")}, ""},
		"other case":            {Message{Event: "Message", Data: []byte("1")}, ""},
		"comment":               {*comment(""), ""},
		"neither name nor data": {Message{Meta: peer.EventMeta{ID: "1", HasID: true}}, ""},
		"nothing":               {Message{}, ""},
	} {
		kind, ok := c.message.Kind()
		require.Equal(t, c.want != "", ok, name)
		if ok {
			require.Equal(t, c.want, kind, name)
		}
	}
}
