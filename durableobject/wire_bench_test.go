package durableobject_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Each op is a socket that connects, subscribes, is answered and disconnects.
func BenchmarkUpgrade(b *testing.B) {
	v := newVenue(b)
	tok := v.token("room")
	b.ReportAllocs()
	for i := range b.N {
		s := connectSink(b, v.handler, fmt.Sprint("c", i), tok, "1", "")
		for s.writes.Load() == 0 {
			runtime.Gosched()
		}
		_ = s.Close()
	}
}

// caller is a sink whose client calls a method when the benchmark requests it.
type caller struct {
	*sink
	frame    []byte
	rest     []byte // of frame
	want     []byte // part of the answer
	call     chan struct{}
	answered chan bool // as wanted
}

func (c *caller) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case <-c.call:
			c.rest = c.frame
		case <-c.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *caller) TryWrite(p []byte) (int, error) {
	select {
	case c.answered <- bytes.Contains(p, c.want):
	case <-c.closed:
	}
	return len(p), nil
}

// Each op is a call of a method, on the server.
func BenchmarkCall(b *testing.B) {
	v := newVenue(b)
	durableobject.Handle(v.rooms, rpc.Define[message, message]("echo"),
		func(_ *durableobject.Object[message], _ context.Context, _ *durableobject.Websocket, in message) (message, error) {
			return in, nil
		})
	text, err := json.Marshal(bench128)
	require.NoError(b, err)
	conn := &caller{
		sink:  newSink(nil),
		frame: masked([]byte(`{"i":2,"p":{"u":"/call","b":{"json":{"path":["echo"],"input":` + string(text) + `}}}}`)),
		want:  text,
		call:  make(chan struct{}), answered: make(chan bool),
	}
	v.sinks = append(v.sinks, conn.sink)
	upgrade(b, v.handler, "c", v.token("room"), conn)
	b.ReportAllocs()
	for b.Loop() {
		conn.call <- struct{}{}
		require.True(b, <-conn.answered)
	}
}
