package docs_test

import (
	"context"
	"expvar"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Code of documents that is too short for an example is compiled here, and not run.
var _ = []any{(*Room).Say, publishOrder, keysOfCalls, publishFigures}

type (
	Room    struct{ *durableobject.Object[Message] }
	Message struct{ ID string }
)

func (r *Room) Say(ctx context.Context, _ *durableobject.Websocket, in Message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithIdempotencyKey(durableobject.CallKey(ctx)))
}

func publishOrder(ctx context.Context, room *Room, order Message) error {
	err := room.PublishEvent(ctx, order, durableobject.WithIdempotencyKey(order.ID))
	return err
}

func keysOfCalls(ctx context.Context, user Message, call *rpc.Call) []string {
	return []string{
		durableobject.JoinKey(durableobject.CallKey(ctx), "receipt"),
		durableobject.JoinKey(user.ID, "say", call.IdempotencyKey()), // call, _ := rpc.CallOf(ctx)
	}
}

func publishFigures(rooms *durableobject.Namespace[*Room]) {
	expvar.Publish("rooms", expvar.Func(func() any { return rooms.Stats() }))
	http.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		s := rooms.Stats()
		_, _ = fmt.Fprintf(w, "rooms_sockets %d\nrooms_sockets_behind %d\n", s.Websockets, s.Behind)
		_, _ = fmt.Fprintf(w, "rooms_published_total %d\nrooms_delivered_total %d\n", s.Publishes, s.Deliveries)
		for result, n := range s.Calls {
			_, _ = fmt.Fprintf(w, "rooms_calls_total{result=%q} %d\n", result, n)
		}
	})
}

func TestSnippetsAreCompiled(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("snippets_test.go")
	require.NoError(t, err)
	// flat leaves out what depends on where code stands, and what only a linter wants.
	flat := func(text string) string {
		text = regexp.MustCompile(`(?m)^\t+(_, _ = )?`).ReplaceAllString(text, "")
		return regexp.MustCompile(`(?m),?( //.*)?$`).ReplaceAllString(text, "")
	}
	for file, count := range map[string]int{"publishing.md": 3, "operating.md": 2} {
		for _, block := range codeOf(t, file, "go", count) {
			require.Contains(t, flat(string(source)), flat(block), file)
		}
	}
}
