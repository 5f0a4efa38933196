package sse

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

func newWriter(t *testing.T, s *sink, o Options) *Writer {
	t.Helper()
	w, err := NewWriter(s, s.flush, o)
	require.NoError(t, err)
	return w
}

func TestWriterComments(t *testing.T) {
	bubble(t, "ES-008 every message restarts the interval", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{})
		require.Equal(t, ": \n\n", s.take())
		for range 3 {
			time.Sleep(4 * time.Second)
			require.Empty(t, s.take())
			require.NoError(t, w.Write(data("a")))
			require.Equal(t, "data: a\n\n", s.take())
		}
		time.Sleep(5*time.Second - 1)
		require.Empty(t, s.take())
		time.Sleep(time.Nanosecond)
		require.Equal(t, ": \n\n", s.take())
		require.NoError(t, w.Close())
	})
	bubble(t, "ES-008 interval and texts are options", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{KeepAlive: time.Minute, KeepAliveComment: "ping", InitialComment: "hello"})
		require.Equal(t, ": hello\n\n", s.take())
		time.Sleep(2*time.Minute + 1)
		require.Equal(t, ": ping\n\n: ping\n\n", s.take())
		require.NoError(t, w.Close())
	})
	bubble(t, "ES-008 both can be turned off", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{KeepAlive: -1, NoInitialComment: true})
		time.Sleep(24 * time.Hour)
		require.Empty(t, s.take())
		require.NoError(t, w.Write(data("a")))
		require.Equal(t, "data: a\n\n", s.take())
		require.NoError(t, w.Close())
	})
	t.Run("ES-002 comments with a line break are refused", func(t *testing.T) {
		t.Parallel()
		for name, o := range map[string]Options{"keepalive": {KeepAliveComment: "a\nb"}, "initial": {InitialComment: "\r"}} {
			s := new(sink)
			_, err := NewWriter(s, s.flush, o)
			require.ErrorIs(t, err, ErrInvalid, name)
			require.Empty(t, s.written+s.flushed, name)
		}
	})
}

func TestWriterTurns(t *testing.T) {
	bubble(t, "no comment during a message, nor right behind it", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{})
		require.Equal(t, ": \n\n", s.take())
		gate := s.holdWrites()
		written := make(chan error, 1)
		go func() { written <- w.Write(data("a")) }()
		time.Sleep(time.Minute)
		require.Empty(t, s.take())
		gate <- struct{}{}
		require.NoError(t, <-written)
		time.Sleep(5*time.Second - 1)
		require.Equal(t, "data: a\n\n", s.take())
		time.Sleep(time.Nanosecond)
		gate <- struct{}{}
		require.Equal(t, ": \n\n", s.take())
		require.NoError(t, w.Close())
	})
	bubble(t, "a message and Close wait for a comment", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{})
		require.Equal(t, ": \n\n", s.take())
		gate := s.holdWrites()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		written := make(chan error, 1)
		go func() { written <- w.Write(data("a")) }()
		require.Empty(t, s.take())
		gate <- struct{}{}
		gate <- struct{}{}
		require.NoError(t, <-written)
		require.Equal(t, ": \n\ndata: a\n\n", s.take())

		time.Sleep(5 * time.Second)
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- w.Close() }()
		synctest.Wait()
		require.Empty(t, closed)
		gate <- struct{}{}
		require.NoError(t, <-closed)
		require.Equal(t, ": \n\n", s.take())
	})
}

func TestWriterFailures(t *testing.T) {
	bubble(t, "ES-002 an invalid message leaves the stream as it is", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{NoInitialComment: true})
		require.ErrorIs(t, w.Write(&Message{Data: []byte("1"), Meta: peer.EventMeta{ID: "\n", HasID: true}}), ErrInvalid)
		require.NoError(t, w.Write(data("a")))
		require.Equal(t, "data: a\n\n", s.take())
		require.NoError(t, w.Close())
	})
	bubble(t, "ES-007 a failed write breaks the stream", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{NoInitialComment: true})
		s.failWith(errTest)
		broken := w.Write(data("a"))
		require.ErrorIs(t, broken, errTest)
		s.failWith(nil)
		require.Equal(t, broken, w.Write(data("b")))
		time.Sleep(time.Minute)
		require.Empty(t, s.take(), "no comment either")
		require.Equal(t, broken, w.Close())
		require.Equal(t, broken, w.Close())
	})
	bubble(t, "ES-007 a failed comment ends the stream too", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{NoInitialComment: true})
		s.failWith(errTest)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		s.failWith(nil)
		broken := w.Write(data("a"))
		require.ErrorIs(t, broken, errTest)
		require.Equal(t, broken, w.Close())
		require.Empty(t, s.take())
	})
	bubble(t, "a failed comment after the last write is reported by Close", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{})
		s.failWith(errTest)
		time.Sleep(time.Hour)
		require.ErrorIs(t, w.Close(), errTest)
	})
	bubble(t, "a failed flush ends the stream too", func(t *testing.T) {
		var flushErr error
		w, err := NewWriter(io.Discard, func() error { return flushErr }, Options{})
		require.NoError(t, err)
		flushErr = http.ErrNotSupported
		broken := w.Write(data("a"))
		require.ErrorIs(t, broken, http.ErrNotSupported)
		flushErr = nil
		require.Equal(t, broken, w.Write(data("a")))
		require.Equal(t, broken, w.Close())
	})
	bubble(t, "a stream that cannot begin need not be closed", func(t *testing.T) {
		s := &sink{fail: errTest}
		_, err := NewWriter(s, s.flush, Options{})
		require.ErrorIs(t, err, errTest)
	})
	bubble(t, "nothing is written after Close", func(t *testing.T) {
		s := new(sink)
		w := newWriter(t, s, Options{NoInitialComment: true})
		require.NoError(t, w.Close())
		require.NoError(t, w.Close())
		require.Equal(t, ErrClosed, w.Write(data("a")))
		time.Sleep(time.Hour)
		require.Empty(t, s.take())
	})
	bubble(t, "a panic of the destination reaches the writer, which can still close", func(t *testing.T) {
		abort := writerFunc(func([]byte) (int, error) { panic(http.ErrAbortHandler) })
		w, err := NewWriter(abort, nil, Options{NoInitialComment: true})
		require.NoError(t, err)
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { _ = w.Write(data("a")) })
		require.NoError(t, w.Close())
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWriterShowsTheResponseAtOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"with a comment": {}, "without one": {NoInitialComment: true}} {
		recorder := httptest.NewRecorder()
		w, err := NewWriter(recorder, http.NewResponseController(recorder).Flush, o)
		require.NoError(t, err)
		require.True(t, recorder.Flushed, name)
		require.NoError(t, w.Close())
	}
	w, err := NewWriter(io.Discard, nil, Options{})
	require.NoError(t, err, "a destination that does not buffer")
	require.NoError(t, w.Write(data("a")))
	require.NoError(t, w.Close())
}
