package rpc

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// openStream calls a procedure whose output is a stream of events. The request lasts as long as the
// stream, and so does the input if that is a stream too; ctx limits only opening it.
func (l *Link) openStream(ctx context.Context, call *Call, out any, s, input *eventStream) (any, error) {
	life, cancel := context.WithCancelCause(peer.WithValues(s.life, ctx))
	opened := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	response, err := l.roundTrip(life, call) //nolint:bodyclose // the source closes it
	if err != nil {
		cancel(err)
		input.stop()
		return nil, callError(ctx, call, err)
	}
	source := &httpSource{
		life: s.life, cancel: cancel, call: call, serializer: l.serializer, input: input,
		body: response.Body, reader: sse.NewReader(response.Body, l.maxBody),
	}
	if !opened() || isErrorStatus(response.StatusCode) || !peer.IsEventStream(response.Header) {
		defer source.close()
		return l.output(ctx, call, response)
	}
	call.ResponseHeader = response.Header
	s.source = source
	return out, nil
}

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

// streamRequest returns the request of a call whose input is a stream of events.
func (l *Link) streamRequest(ctx context.Context, call *Call, s *eventStream) (*http.Request, []byte, error) {
	method := call.Method
	if method == "" || method == http.MethodGet {
		method = http.MethodPost
	}
	body := newInputBody(s, l.serializer)
	r, err := http.NewRequestWithContext(ctx, method, l.prefix+encodePath(call.Path)+l.query, body)
	if err != nil {
		return nil, nil, err
	}
	if err := l.addHeader(ctx, call, r.Header); err != nil {
		return nil, nil, err
	}
	r.ContentLength = -1
	r.Header.Set(headerContentType, eventStreamType)
	return r, nil, nil
}

// inputBody encodes a stream of events while it is read.
type inputBody struct {
	stream     *eventStream
	serializer *serializer.Serializer
	reader     *io.PipeReader
	writer     *io.PipeWriter
	begin      sync.Once // write runs from the first Read on
}

func newInputBody(s *eventStream, values *serializer.Serializer) *inputBody {
	b := &inputBody{stream: s, serializer: values}
	b.reader, b.writer = io.Pipe()
	return b
}

func (b *inputBody) Read(p []byte) (int, error) {
	b.begin.Do(func() { go b.write() })
	return b.reader.Read(p)
}

// Close does not wait for the application, which may be creating an event.
func (b *inputBody) Close() error {
	b.stream.stop()
	return b.reader.Close()
}

// write sends the stream, and comments while there are no events.
func (b *inputBody) write() {
	text, err := sse.NewWriter(b.writer, nil, sse.Options{})
	if err != nil { // it was closed before it began
		b.stream.close()
		return
	}
	b.stream.sendTo(b.serializer, func(e *peer.Event) error {
		return text.Write(&sse.Message{Event: e.Kind, Data: e.Data, Meta: e.Meta})
	})
	_ = b.writer.CloseWithError(text.Close()) // never fails
}
