package sse

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// FuzzRoundTrip checks that every message is either refused, for a valid reason, or the
// same when it is read back.
func FuzzRoundTrip(f *testing.F) {
	f.Add("message", "1", "c", "hello", int64(100), byte(0xff))
	f.Add("", "", "", "a\r\nb\rc\n", int64(0), byte(0x0f))
	f.Add("a\nb", " x", ":", " ", int64(-1), byte(0x03))
	f.Add("\ufeff", "\r", "\n", "", int64(1<<53), byte(0))
	f.Fuzz(func(t *testing.T, event, id, note, text string, retry int64, has byte) {
		m := &Message{Event: peer.EventKind(event)}
		breaks := event
		valid := true
		if has&1 != 0 {
			m.Data = []byte(text)
		}
		if has&2 != 0 {
			m.Meta.ID, m.Meta.HasID = id, true
			breaks += id
		}
		if has&4 != 0 {
			m.Meta.Retry = &retry
			valid = 0 <= retry && retry < 1<<53
		}
		if has&8 != 0 {
			m.Meta.Comments = []string{"", note}
			breaks += note
		}
		valid = valid && !strings.ContainsAny(breaks, "\r\n") && !strings.Contains(m.Meta.ID, "\x00")

		wire, err := Append(nil, m)
		if !valid {
			require.ErrorIs(t, err, ErrInvalid)
			require.Empty(t, wire)
			return
		}
		require.NoError(t, err)
		var want []*Message
		if string(wire) != "\n" {
			if m.Data != nil {
				m.Data = []byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text))
			}
			want = []*Message{m, m}
		}
		require.Equal(t, want, readText(t, string(wire)+string(wire)))
	})
}

// FuzzReader checks that a Reader keeps to its limit whatever it reads, that the boundaries
// of chunks make no difference, and that every message that was read can be written again.
func FuzzReader(f *testing.F) {
	v := loadVectors(f)
	for _, c := range v.Decode {
		f.Add([]byte(c.Text+"\n\n"), uint16(64))
	}
	for _, c := range v.StreamDecode {
		f.Add([]byte(strings.Join(c.Chunks, "")), uint16(8))
	}
	for _, c := range v.Iterator {
		f.Add([]byte(c.Text), uint16(1000))
	}
	f.Add([]byte("\ufeff\r\n\rdata\r\n\r:\r\r\n\n"), uint16(10))
	f.Fuzz(func(t *testing.T, text []byte, limit uint16) {
		whole := NewReader(strings.NewReader(string(text)), int64(limit))
		messages, end := readAll(whole)
		require.LessOrEqual(t, len(whole.buf), int(limit)+1)
		require.Contains(t, []error{io.EOF, ErrIncomplete, ErrTooLarge}, end)

		for name, src := range map[string]io.Reader{
			"bytes":  iotest.OneByteReader(strings.NewReader(string(text))),
			"halves": iotest.HalfReader(iotest.DataErrReader(strings.NewReader(string(text)))),
		} {
			r := NewReader(src, int64(limit))
			cut, cutEnd := readAll(r)
			require.Equal(t, messages, cut, name)
			require.Equal(t, end, cutEnd, name)
			require.LessOrEqual(t, len(r.buf), int(limit)+1, name)
		}

		for _, m := range messages {
			size := len(m.Event) + len(m.Data) + len(m.Meta.ID)
			for _, c := range m.Meta.Comments {
				size += len(":\n") + len(c)
			}
			require.LessOrEqual(t, size, int(limit))
			if wire := appendText(t, m); wire != "\n" {
				require.Equal(t, []*Message{m}, readText(t, wire))
			}
		}
	})
}
