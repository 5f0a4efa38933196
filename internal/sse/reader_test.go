package sse

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// If the Reader read more than it needs for a message, it would return errTest instead.
func TestReaderDoesNotWait(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		chunks []string
		want   []*Message
	}{
		{"LF", []string{"data: a\n\n"}, []*Message{data("a")}},
		{"CRLF", []string{"data: a\r\n\r\n"}, []*Message{data("a")}},
		{"CR, where an LF may follow", []string{"data: a\r\r"}, []*Message{data("a")}},
		{"CRLF but for the last LF", []string{"data: a\r\n\r"}, []*Message{data("a")}},
		{"the last LF of the message before", []string{"data: a\r\n\r", "\n"}, []*Message{data("a")}},
		{"the last LF begins the next", []string{"data: a\r\n\r", "\ndata: b\r\n\r"}, []*Message{data("a"), data("b")}},
		{"CR, then LF for a blank line", []string{"data: a\r", "\n", "\n"}, []*Message{data("a")}},
		{"two in one read", []string{"data: a\n\ndata: b\n\n"}, []*Message{data("a"), data("b")}},
		{"part of the next", []string{"data: a\n\nda"}, []*Message{data("a")}},
		{"comment", []string{": \n\n"}, []*Message{comment("")}},
		{"byte by byte", strings.Split("id\r\r\nx\n\n", ""), []*Message{{Meta: peer.EventMeta{HasID: true}}, {}}},
	} {
		t.Run("ES-004 "+c.name, func(t *testing.T) {
			t.Parallel()
			messages, end := readAll(NewReader(&chunks{list: c.chunks, err: errTest}, testLimit))
			require.ErrorIs(t, end, errTest)
			require.Equal(t, c.want, messages)
		})
	}
}

func TestReaderLines(t *testing.T) {
	t.Parallel()
	retry := int64(1<<53 - 1)
	for name, c := range map[string]struct {
		text string
		want []*Message
	}{
		"ES-003 one space is dropped, a tab is not":             {"data: \tx\ndata:\ty\n\n", []*Message{data("\tx\n\ty")}},
		"ES-003 the first colon counts":                         {"id: a: b\n\n", []*Message{{Meta: peer.EventMeta{ID: "a: b", HasID: true}}}},
		"ES-003 data lines are joined around others":            {"data: a\nid\ndata\ndata: b\n\n", []*Message{{Data: []byte("a\n\nb"), Meta: peer.EventMeta{HasID: true}}}},
		"ES-003 the last id counts, be it empty":                {"id: 1\nid\n\n", []*Message{{Meta: peer.EventMeta{HasID: true}}}},
		"ES-003 an id with NUL does not count":                  {"id: 1\nid: a\x00b\n\n", []*Message{{Meta: peer.EventMeta{ID: "1", HasID: true}}}},
		"ES-003 the last name counts, be it empty":              {"event: done\nevent:\n\n", []*Message{{}}},
		"ES-003 a bad retry leaves a good one":                  {"retry: 9007199254740991\nretry: x\nretry\nretry: +1\nretry: -0\n\n", []*Message{{Meta: peer.EventMeta{Retry: &retry}}}},
		"ES-003 a retry that no JavaScript number is":           {"retry: 9007199254740992\nretry: 99999999999999999999\n\n", []*Message{{}}},
		"ES-003 unknown keys alone are a message":               {"a\nb: c\n\n", []*Message{{}}},
		"ES-004 all line ends":                                  {"data: a\ndata: b\rdata: c\r\n\n\n\r\r\n\rdata: d\r\r", []*Message{data("a\nb\nc"), data("d")}},
		"byte order mark":                                       {"\ufeffdata: a\n\n\ufeffdata: b\n\n", []*Message{data("a"), {}}},
		"byte order mark alone on the line":                     {"\ufeff\n\ndata: a\n\n", []*Message{data("a")}},
		"bytes that are not text":                               {"data: \xff\x00\n\n", []*Message{data("\xff\x00")}},
		"comments keep their order, and unknown names are kept": {": a\n:b\n:  c\nevent: x\n\n", []*Message{{Event: "x", Meta: peer.EventMeta{Comments: []string{"a", "b", " c"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, readText(t, c.text))
			messages, end := readAll(NewReader(iotest.OneByteReader(strings.NewReader(c.text)), testLimit))
			require.Equal(t, io.EOF, end)
			require.Equal(t, c.want, messages, "byte by byte")
		})
	}
}

func TestReaderEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		srcErr     error
		messages   int
		want       error
	}{
		{"ES-006 nothing at all", "", io.EOF, 0, io.EOF},
		{"ES-006 between two messages", "data: a\n\n", io.EOF, 1, io.EOF},
		{"blank lines only", "\n\r\n\r", io.EOF, 0, io.EOF},
		{"after blank lines", "data: a\n\n\n", io.EOF, 1, io.EOF},
		{"ES-004 inside a line", "data: a\n\nda", io.EOF, 1, ErrIncomplete},
		{"ES-004 before the blank line", "data: a\n\ndata: b\n", io.EOF, 1, ErrIncomplete},
		{"ES-004 inside a comment", ":", io.EOF, 0, ErrIncomplete},
		{"ES-006 broken between two messages", "data: a\n\n", io.ErrUnexpectedEOF, 1, io.ErrUnexpectedEOF},
		{"ES-006 broken inside one", "data: a\n\nda", errTest, 1, errTest},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, src := range map[string]io.Reader{
				"error after the data":      io.MultiReader(strings.NewReader(c.text), iotest.ErrReader(c.srcErr)),
				"error along with the data": iotest.DataErrReader(io.MultiReader(strings.NewReader(c.text), iotest.ErrReader(c.srcErr))),
			} {
				r := NewReader(src, testLimit)
				messages, end := readAll(r)
				require.Len(t, messages, c.messages, name)
				require.ErrorIs(t, end, c.want, name)
				if errors.Is(c.want, io.EOF) {
					require.Equal(t, io.EOF, end, name)
				}
				_, again := r.Next()
				require.Equal(t, end, again, name)
			}
		})
	}
	t.Run("a source that returns nothing", func(t *testing.T) {
		t.Parallel()
		_, err := NewReader(&chunks{list: make([]string, 1<<20)}, testLimit).Next()
		require.ErrorIs(t, err, io.ErrNoProgress)
	})
	t.Run("a source that sometimes returns nothing", func(t *testing.T) {
		t.Parallel()
		messages, end := readAll(NewReader(&chunks{list: []string{"", "data", "", "", ": a\n", "", "\n"}, err: io.EOF}, testLimit))
		require.Equal(t, io.EOF, end)
		require.Equal(t, []*Message{data("a")}, messages)
	})
}

// endless repeats a text and counts the bytes that were read.
type endless struct {
	text  string
	given int
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], e.text[(e.given+n)%len(e.text):])
	}
	e.given += len(p)
	return len(p), nil
}

func TestReaderLimit(t *testing.T) {
	t.Parallel()

	t.Run("a message of just the limit", func(t *testing.T) {
		t.Parallel()
		const text = "event: message\r\ndata: a\r\n: c\r\n\r\n"
		const length = int64(len("event: message\ndata: a\n: c\n"))
		for _, limit := range []int64{length, math.MaxInt64} {
			messages, end := readAll(NewReader(strings.NewReader(text+text), limit))
			require.Equal(t, io.EOF, end, limit)
			require.Len(t, messages, 2, limit)
		}
		for _, limit := range []int64{length - 1, 1, 0, -1} {
			messages, end := readAll(NewReader(strings.NewReader(text+text), limit))
			require.Equal(t, ErrTooLarge, end, limit)
			require.Empty(t, messages, limit)
		}
	})
	for _, text := range []string{"x", "data: x\n", "data\r", ":\n", "unknown: y\n", "id: 1\n", "data: ", strings.Repeat("z", 60) + "\n"} {
		t.Run(fmt.Sprintf("endless %q", text), func(t *testing.T) {
			t.Parallel()
			for _, limit := range []int64{1, 100, 10_000, 1 << 17} {
				src := &endless{text: text}
				r := NewReader(src, limit)
				_, err := r.Next()
				require.ErrorIs(t, err, ErrTooLarge)
				require.LessOrEqual(t, len(r.buf), int(limit)+1)
				require.LessOrEqual(t, src.given, 2*int(limit)+1, "a message of that size and a full buffer")
				_, again := r.Next()
				require.Equal(t, err, again)

				src = &endless{text: text}
				_, err = NewReader(iotest.OneByteReader(src), limit).Next()
				require.ErrorIs(t, err, ErrTooLarge)
				require.LessOrEqual(t, src.given, int(limit)+1, "the first byte too many is enough")
			}
		})
	}
	t.Run("long lines in small pieces", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("a", 100_000)
		text := "data: a\n\ndata: " + long + "\n\n" + "data: b\ndata: " + long + "\n\n"
		messages, end := readAll(NewReader(iotest.OneByteReader(strings.NewReader(text)), 1<<17))
		require.Equal(t, io.EOF, end)
		require.Equal(t, []*Message{data("a"), data(long), data("b\n" + long)}, messages)
	})
	t.Run("messages without end in a buffer that stays small", func(t *testing.T) {
		t.Parallel()
		r := NewReader(&endless{text: "id: 1\ndata: hello\n\n"}, testLimit)
		for range 10_000 {
			m, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, "hello", string(m.Data))
		}
		require.Len(t, r.buf, minBuffer)
	})
}

func TestReaderMessagesAreTheCallers(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("id: 1\ndata: a\n: x\n\nid: 2\ndata: b\n: y\n\n"), testLimit)
	first, err := r.Next()
	require.NoError(t, err)
	second, err := r.Next()
	require.NoError(t, err)
	_ = append(first.Data, '!')
	require.Equal(t, "1a"+"x", first.Meta.ID+string(first.Data)+first.Meta.Comments[0])
	require.Equal(t, "2b"+"y", second.Meta.ID+string(second.Data)+second.Meta.Comments[0])
}

// A comment takes more memory than its text.
func TestCommentsAreLimited(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, n := range []int{50, 60} {
		m, err := NewReader(strings.NewReader(strings.Repeat(":\n", n)+"data: 1\n\n"), limit).Next()
		if n == 60 {
			require.ErrorIs(t, err, ErrTooLarge)
			continue
		}
		require.NoError(t, err)
		require.Len(t, m.Meta.Comments, n)
	}
}
