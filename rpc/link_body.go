package rpc

import (
	"context"
	"io"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// httpSource reads the events in the body of a response.
type httpSource struct {
	life       context.Context
	cancel     context.CancelCauseFunc // of the request
	call       *Call
	serializer *serializer.Serializer
	body       io.Closer
	reader     *sse.Reader
	input      *eventStream // nil if the input is a value
}

func (s *httpSource) next() eventItem {
	for {
		m, err := s.reader.Next()
		if err == io.EOF { //nolint:errorlint // the error of a lost connection may wrap it
			return eventItem{value: value.Value{}, done: true} // the return value is optional
		}
		if err != nil {
			return eventItem{err: callError(s.life, s.call, err)}
		}
		kind, ok := m.Kind()
		if !ok {
			continue
		}
		if item, ok := readEvent(s.serializer, kind, m.Data, m.Meta); ok {
			return item
		}
	}
}

func (s *httpSource) close() {
	s.input.stop()
	s.cancel(errStreamClosed)
	_ = s.body.Close()
}

// pipedBody is the body of a request that is created while it is read, without keeping it in
// memory.
type pipedBody struct {
	reader *io.PipeReader
	begin  sync.Once // run runs from the first Read on
	run    func()
	done   chan struct{} // closed when run has returned, or will not run
	stream *eventStream  // what is sent, or nil for a form
}

func newPipedBody(write func(io.Writer) error) *pipedBody {
	reader, writer := io.Pipe()
	b := &pipedBody{reader: reader, done: make(chan struct{})}
	b.run = func() {
		defer close(b.done)
		_ = writer.CloseWithError(write(writer)) // never fails
	}
	return b
}

// newFormBody returns a form with an encoded value and its files.
func newFormBody(boundary string, e serializer.Encoded) *pipedBody {
	return newPipedBody(func(w io.Writer) error { return writeForm(w, boundary, e) })
}

// newStreamBody returns the events of a stream, and comments while there are none.
func newStreamBody(s *eventStream, values *serializer.Serializer) *pipedBody {
	b := newPipedBody(func(w io.Writer) error {
		text, err := sse.NewWriter(w, nil, sse.Options{})
		if err != nil { // it was closed before it began
			s.close()
			return err
		}
		s.sendTo(values, func(e *peer.Event) error {
			return text.Write(&sse.Message{Event: e.Kind, Data: e.Data, Meta: e.Meta})
		})
		return text.Close()
	})
	b.stream = s
	return b
}

func (b *pipedBody) Read(p []byte) (int, error) {
	b.begin.Do(func() { go b.run() })
	return b.reader.Read(p)
}

// Close waits until no file is being read. It does not wait for a stream, because the application
// may be creating an event.
func (b *pipedBody) Close() error {
	b.begin.Do(func() { close(b.done) })
	b.stream.stop()
	_ = b.reader.Close() // never fails
	if b.stream == nil {
		<-b.done
	}
	return nil
}
