package rpc

import (
	"context"
	"io"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// openStream makes a call whose output is a stream of events. The request lives as
// long as the stream, of which ctx governs the opening only. So does the input, if that
// is a stream too.
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

// httpSource gives the events in the body of an answer.
type httpSource struct {
	life       context.Context
	cancel     context.CancelCauseFunc // of the request
	call       *Call
	serializer *serializer.Serializer
	body       io.Closer
	reader     *sse.Reader
	input      *eventStream // nil if it is a value
}

func (s *httpSource) next() eventItem {
	for {
		m, err := s.reader.Next()
		if err == io.EOF { //nolint:errorlint // a connection that broke may wrap it
			return eventItem{value: value.Value{}, done: true} // a return value need not be there
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
