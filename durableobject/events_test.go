package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// streamInput configures a stream.
type streamInput struct {
	Events  int  `json:"events"` // how many; 0: until it is stopped
	Size    int  `json:"size"`   // of each, in bytes
	Publish bool `json:"publish"`
	Fail    bool `json:"fail"`
}

var (
	errDeclared = rpc.DefineError[rpc.Void]("DECLARED", 410, "declared")
	stream      = rpc.DefineEventsIn[streamInput, string, int](toolbox, "stream", errDeclared)
)

// stream sends numbers. If the input requests it, it publishes each number before it sends it.
func (r *room) stream(ctx context.Context, _ *durableobject.Websocket, in streamInput, w *rpc.EventWriter[string]) (int, error) {
	for n := 1; n <= in.Events || in.Events == 0; n++ {
		if in.Publish {
			if err := r.PublishEvent(ctx, message{fmt.Sprint("published ", n)}); err != nil {
				return 0, err
			}
		}
		if err := w.Send(fmt.Sprint(n, strings.Repeat(" ", in.Size))); err != nil {
			r.hooks.streamEnded(n)
			return 0, err
		}
	}
	if in.Fail {
		return 0, errDeclared.New(rpc.Void{})
	}
	return in.Events, nil
}

func callStream(id, input string) string {
	return `{"i":"` + id + `","p":{"u":"/call","b":{"json":{"path":["toolbox","stream"],"input":` + input + `}}}}`
}

func TestEventStreams(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.send(callStream("7", `{"events":2}`))
		require.Equal(t, `{"i":"7","p":{"h":{"content-type":"text/event-stream"}}}`, c.next())
		require.Equal(t, `{"i":"7","t":3,"p":{"e":"message","d":{"json":"1"}}}`, c.next())
		require.Equal(t, `{"i":"7","t":3,"p":{"e":"message","d":{"json":"2"}}}`, c.next())
		require.Equal(t, `{"i":"7","t":3,"p":{"e":"done","d":{"json":2}}}`, c.next())

		c.send(callStream("7", `{"events":1,"fail":true}`))
		c.next()
		c.next()
		require.Equal(t, `{"i":"7","t":3,"p":{"e":"error","d":{"json":{"defined":false,"code":"DECLARED","status":410,"message":"declared"}}}}`,
			c.next(), "no error is defined on a socket")
		c.send(callStream("7", `{"events":"x"}`))
		require.Contains(t, c.next(), `"code":"BAD_REQUEST"`)
		c.seesNothing()
	})
}

// Events that a method publishes reach its caller before the events of the stream that it sends
// later.
func TestPublishedBeforeStreamed(t *testing.T) {
	for name, o := range map[string]durableobject.Options{"kept": keeping, "not kept": {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(t *testing.T, f *fixture) {
				c, other := f.connect("a"), f.connect("b")
				c.subscribe()
				other.subscribe()
				c.send(callStream("s", `{"events":300,"publish":true}`))
				published, streamed := 0, 0
				for streamed < 300 {
					switch frame := c.next(); {
					case strings.Contains(frame, `"published `):
						published++
						require.Contains(t, frame, fmt.Sprintf(`"published %d"`, published))
					case strings.Contains(frame, `"e":"message"`):
						streamed++
						require.Contains(t, frame, fmt.Sprintf(`{"json":"%d"}`, streamed))
						require.GreaterOrEqual(t, published, streamed)
					}
				}
				require.Contains(t, c.next(), `"e":"done"`)
				for n := 1; n <= 300; n++ {
					other.sees(fmt.Sprint("published ", n))
				}
			})
		})
	}
}

// PE-039, DI-108: a stream ends with its call.
func TestStreamsEnd(t *testing.T) {
	for name, end := range map[string]func(c *rawClient){
		"with an abort":     func(c *rawClient) { c.send(`{"i":"s","t":4}`) },
		"with their socket": func(c *rawClient) { c.drop() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{MaxLagBytes: 10_000}, func(_ *testing.T, f *fixture) {
				ended := make(chan int, 1)
				f.hooks.streamEnded = func(sent int) { ended <- sent }
				c, read := f.stalled("slow")
				c.send(callStream("s", `{"size":1000}`))
				synctest.Wait()
				end(c)
				<-ended // although it waited for room
				go read()
			})
		})
	}
}

// A stream waits for a slow socket, which is not closed because of that. Its other calls are
// answered as soon as it reads.
func TestStreamsWaitForSlowSockets(t *testing.T) {
	bubble(t, durableobject.Options{MaxLagBytes: 100_000}, func(t *testing.T, f *fixture) {
		c, read := f.stalled("slow")
		c.send(callStream("s", `{"size":1000,"events":2000}`))
		c.send(callStream("s2", `{"size":1000,"events":2000}`))
		synctest.Wait()
		time.Sleep(time.Second)
		c.send(`{"i":"t","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"x"}}}}}`)
		synctest.Wait()
		go read()
		frames := 0
		for !strings.Contains(c.next(), "told x") {
			frames++
		}
		require.Less(t, frames, 500, "not much waits in front of it")
		for done := 0; done < 2; frames++ {
			if strings.Contains(c.next(), `"e":"done"`) {
				done++
			}
		}
		require.Equal(t, 2*(1+2000+1), frames)
	})
}
