package sse

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/leak"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

const testLimit = 1 << 20

var errTest = errors.New("test")

func TestMain(m *testing.M) { leak.Main(m) }

// bubble runs a named test in a synctest bubble, which also fails if it leaves
// a goroutine behind.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// chunks is a source that returns one chunk with each read, then err.
type chunks struct {
	list []string
	err  error
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.list) == 0 {
		return 0, c.err
	}
	n := copy(p, c.list[0])
	if c.list[0] = c.list[0][n:]; c.list[0] == "" {
		c.list = c.list[1:]
	}
	return n, nil
}

// readAll reads to the end, which is returned too.
func readAll(r *Reader) (messages []*Message, end error) {
	for {
		m, err := r.Next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

func readText(t testing.TB, text string) []*Message {
	t.Helper()
	messages, end := readAll(NewReader(strings.NewReader(text), testLimit))
	require.Equal(t, io.EOF, end)
	return messages
}

func appendText(t testing.TB, m *Message) string {
	t.Helper()
	text, err := Append(nil, m)
	require.NoError(t, err)
	return string(text)
}

func data(text string) *Message { return &Message{Data: []byte(text)} }

func comment(text string) *Message { return &Message{Meta: peer.EventMeta{Comments: []string{text}}} }

// sink is the underlying writer of a Writer. It records the flushed text.
type sink struct {
	mu      sync.Mutex
	written string
	flushed string
	fail    error         // what writes return
	gate    chan struct{} // if set, a write waits for one value
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	s.written += string(p)
	return len(p), nil
}

func (s *sink) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushed += s.written
	s.written = ""
	return nil
}

// take returns the text flushed since the last take, after all goroutines of the bubble are
// blocked.
func (s *sink) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	flushed := s.flushed
	s.flushed = ""
	return flushed
}

// holdWrites makes every write wait for a value from the returned channel.
func (s *sink) holdWrites() chan<- struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
	return s.gate
}

func (s *sink) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}
