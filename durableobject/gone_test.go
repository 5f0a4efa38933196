package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

var (
	watch = rpc.DefineEventsIn[string, string, rpc.Void](toolbox, "watch")
	await = rpc.DefineIn[string, rpc.Void](toolbox, "await")
)

// watch sends the kinds of the changes of members, and then returns the error that how selects.
func (r *room) watch(ctx context.Context, _ *durableobject.Websocket, how string, w *rpc.EventWriter[string]) (rpc.Void, error) {
	for change, err := range r.PresenceChanges(ctx) {
		if err != nil && how == "own" {
			return rpc.Void{}, errors.New("the disk is full")
		}
		if err == nil {
			err = w.Send(string(change.Kind))
		}
		if err != nil {
			return rpc.Void{}, fmt.Errorf("watch: %w", err)
		}
	}
	return rpc.Void{}, nil
}

func (r *room) await(ctx context.Context, _ *durableobject.Websocket, how string) (rpc.Void, error) {
	<-ctx.Done()
	switch how {
	case "own":
		return rpc.Void{}, errors.New("the disk is full")
	case "cause":
		return rpc.Void{}, fmt.Errorf("await: %w", context.Cause(ctx))
	}
	return rpc.Void{}, fmt.Errorf("await: %w", ctx.Err())
}

// Nothing is logged if a client aborts a call or disconnects, or the server shuts down. An
// unrelated failure of the method at that time is logged.
func TestNothingIsLoggedOfClientsThatHaveGone(t *testing.T) {
	ends := map[string]func(f *fixture, c *rawClient){
		"abort":    func(_ *fixture, c *rawClient) { c.send(`{"i":"s","t":4}`) },
		"drop":     func(_ *fixture, c *rawClient) { c.drop() },
		"shutdown": func(f *fixture, _ *rawClient) { require.NoError(f.t, f.rooms.Shutdown(context.Background())) },
	}
	for _, method := range []string{"watch", "await"} {
		for _, how := range []string{"error", "cause", "own"} {
			for name, end := range ends {
				t.Run(fmt.Sprintf("%s ends with its %s after %s", method, how, name), func(t *testing.T) {
					book := &logBook{}
					o := durableobject.Options{Logger: book.logger(), Presence: &durableobject.PresenceOptions{}}
					bubble(t, o, func(t *testing.T, f *fixture) {
						durableobject.HandleEvents(f.rooms, watch, (*room).watch)
						durableobject.Handle(f.rooms, await, (*room).await)
						c := f.connect("a")
						c.send(`{"i":"s","p":{"u":"/call","b":{"json":{"path":["toolbox","` + method + `"],"input":"` + how + `"}}}}`)
						synctest.Wait()
						end(f, c)
						book.has(t, "")
						if how == "own" {
							require.Contains(t, book.String(), `level=WARN msg="call failed"`)
						} else {
							require.NotContains(t, book.String(), "level=WARN")
						}
					})
				})
			}
		}
	}
}
