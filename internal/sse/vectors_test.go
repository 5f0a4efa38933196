package sse

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// These are the differences from the original, by the name of the vector, or by its text if
// it has none.
var (
	// ownEvents are streams from which we read other messages.
	ownEvents = map[string][]vectorMessage{
		// Blank lines between two messages are not messages, as in the standard of
		// server-sent events. The original reads every second one as a message without
		// members, which it skips later.
		"data: a\n\n\n\ndata: b\n\n": {{Data: new("a")}, {Data: new("b")}},
	}

	// inexpressible are invalid messages that our types cannot represent.
	inexpressible = map[string]string{"fractional retry": "retry is an int64"}

	// otherLayer are errors that another package returns.
	otherLayer = map[string]string{"broken data": "data is opaque here; decoding it returns the error"}
)

type vectors struct {
	KeepAlive struct {
		IntervalMs int
		Text       string
	}
	InitialComment struct{ Text string }
	Encode         []vectorCase
	EncodeErrors   []vectorCase
	Decode         []vectorCase
	StreamDecode   []struct {
		Chunks     []string
		Events     []vectorMessage
		ErrorAtEnd string
	}
	Iterator         []vectorIterator
	IteratorToStream []struct{ Name, Text string }
}

type vectorCase struct {
	Name, Text string
	Message    vectorMessage
}

type vectorMessage struct {
	Event, Data, ID *string
	Retry           json.Number
	Comments        []string
}

type vectorIterator struct {
	Name, Text string
	Items      []struct {
		Done       bool
		Value      json.RawMessage
		Meta       vectorMessage
		Failure    string
		ErrorEvent *struct {
			Data json.RawMessage
			Meta vectorMessage
		}
	}
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	file, err := os.ReadFile("testdata/sse.json")
	require.NoError(t, err)
	v := new(vectors)
	require.NoError(t, json.Unmarshal(file, v))
	return v
}

func (v vectorMessage) message(t testing.TB) *Message {
	t.Helper()
	m := new(Message)
	if v.Event != nil {
		require.NotEmpty(t, *v.Event, "an empty name is absent in ours")
		m.Event = peer.EventKind(*v.Event)
	}
	if v.Data != nil {
		m.Data = []byte(*v.Data)
	}
	if v.ID != nil {
		m.Meta.ID, m.Meta.HasID = *v.ID, true
	}
	if v.Retry != "" {
		retry, err := v.Retry.Int64()
		require.NoError(t, err)
		m.Meta.Retry = &retry
	}
	if len(v.Comments) > 0 {
		m.Meta.Comments = v.Comments
	}
	return m
}

func TestVectorsEncode(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	require.Len(t, v.Encode, 9)
	for _, c := range v.Encode {
		t.Run("ES-001 "+c.Name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.Text, appendText(t, c.Message.message(t)))
		})
	}
}

func TestVectorsEncodeErrors(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	require.Len(t, v.EncodeErrors, 6)
	for _, c := range v.EncodeErrors {
		t.Run("ES-002 "+c.Name, func(t *testing.T) {
			t.Parallel()
			if inexpressible[c.Name] != "" {
				_, err := c.Message.Retry.Int64()
				require.Error(t, err)
				return
			}
			text, err := Append([]byte("before"), c.Message.message(t))
			require.ErrorIs(t, err, ErrInvalid)
			require.Equal(t, "before", string(text))
		})
	}
}

func TestVectorsDecode(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	require.Len(t, v.Decode, 18)
	for _, c := range v.Decode {
		t.Run("ES-003 "+c.Text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []*Message{c.Message.message(t)}, readText(t, strings.TrimSuffix(c.Text, "\n")+"\n\n"))
		})
	}
}

func TestVectorsStreamDecode(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	require.Len(t, v.StreamDecode, 8)
	for _, c := range v.StreamDecode {
		text := strings.Join(c.Chunks, "")
		t.Run("ES-004 "+text, func(t *testing.T) {
			t.Parallel()
			events := c.Events
			if own, differs := ownEvents[text]; differs {
				require.NotEqual(t, len(own), len(events))
				events = own
			}
			var want []*Message
			for _, e := range events {
				want = append(want, e.message(t))
			}
			messages, end := readAll(NewReader(&chunks{list: c.Chunks, err: io.EOF}, testLimit))
			require.Equal(t, want, messages)
			if c.ErrorAtEnd == "" {
				require.Equal(t, io.EOF, end)
			} else {
				require.ErrorIs(t, end, ErrIncomplete)
				require.ErrorIs(t, end, io.ErrUnexpectedEOF)
			}
		})
	}
}

// The items of an iterator are compared with the kinds, data and metadata of messages.
func TestVectorsIterator(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	require.Len(t, v.Iterator, 11)
	for _, c := range v.Iterator {
		t.Run("ES-006 "+c.Name, func(t *testing.T) {
			t.Parallel()
			r := NewReader(strings.NewReader(c.Text), testLimit)
			for _, item := range c.Items {
				m, kind, err := nextEvent(r)
				switch {
				case item.Failure != "" && otherLayer[c.Name] != "":
					require.NoError(t, err)
					require.False(t, json.Valid(m.Data))
				case item.Failure != "":
					require.ErrorIs(t, err, ErrIncomplete)
				case item.ErrorEvent != nil:
					require.NoError(t, err)
					require.Equal(t, peer.EventError, kind)
					require.JSONEq(t, string(item.ErrorEvent.Data), string(m.Data))
					require.Equal(t, item.ErrorEvent.Meta.message(t), m)
				case item.Done && err != nil: // ends by itself, without a value
					require.Equal(t, io.EOF, err)
					require.JSONEq(t, `{"$":"undefined"}`, string(item.Value))
				default:
					require.NoError(t, err)
					require.Equal(t, item.Done, kind == peer.EventDone)
					requireValue(t, item.Value, m.Data)
					if item.Meta.Event != nil { // only objects have metadata
						require.Equal(t, item.Meta.message(t), m)
					}
				}
			}
		})
	}
}

func nextEvent(r *Reader) (*Message, peer.EventKind, error) {
	for {
		m, err := r.Next()
		if err != nil {
			return nil, "", err
		}
		if kind, ok := m.Kind(); ok {
			return m, kind, nil
		}
	}
}

// requireValue compares data with a tagged value. No data is undefined.
func requireValue(t *testing.T, tagged json.RawMessage, data []byte) {
	t.Helper()
	if data == nil {
		data = []byte(`{"$":"undefined"}`)
	}
	require.JSONEq(t, string(tagged), string(data))
}

func TestVectorsIteratorToStream(t *testing.T) {
	one, two := []byte(`{"json":1}`), []byte(`{"json":2}`)
	sent := map[string][]Message{
		"yield and return": {{Event: peer.EventMessage, Data: one}, {Event: peer.EventDone, Data: two}},
		"return nothing":   {{Event: peer.EventMessage, Data: one}},
		"yield undefined":  {{Event: peer.EventMessage}},
		"error event":      {{Event: peer.EventError, Data: one}},
		"nothing at all":   {},
	}
	v := loadVectors(t)
	require.Len(t, v.IteratorToStream, len(sent))
	for _, c := range v.IteratorToStream {
		bubble(t, "ES-007 "+c.Name, func(t *testing.T) {
			require.Contains(t, sent, c.Name)
			s := new(sink)
			w, err := NewWriter(s, s.flush, Options{})
			require.NoError(t, err)
			for _, m := range sent[c.Name] {
				require.NoError(t, w.Write(&m))
			}
			require.NoError(t, w.Close())
			require.Equal(t, c.Text, s.take())
		})
	}
}

func TestVectorsComments(t *testing.T) {
	v := loadVectors(t)
	bubble(t, "ES-008 comments by default", func(t *testing.T) {
		s := new(sink)
		w, err := NewWriter(s, s.flush, Options{})
		require.NoError(t, err)
		require.Equal(t, v.InitialComment.Text, s.take())

		interval := time.Duration(v.KeepAlive.IntervalMs) * time.Millisecond
		for range 3 {
			time.Sleep(interval - 1)
			require.Empty(t, s.take())
			time.Sleep(time.Nanosecond)
			require.Equal(t, v.KeepAlive.Text, s.take())
		}
		require.NoError(t, w.Close())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, s.take())
	})
}
