package docs_test

import (
	"context"
	"expvar"
	"fmt"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Code in pages that is too short for an example is compiled here, but not run.
var _ = []any{(*Room).Say, (*Room).Members, newRooms, ban, publishOrder, keysOfCalls, publishFigures, readOldest, newScore, reloadOnGap}

type (
	Room    struct{ *durableobject.Object[Message] }
	Message struct{ ID string }
	Change  struct{ Kind, ID string }
	Score   struct {
		*durableobject.Object[int]

		total int
	}
)

func newRoom(_ context.Context, o *durableobject.Object[Message]) (*Room, error) {
	return &Room{o}, nil
}

func newRooms(key token.Secret) *durableobject.Namespace[*Room] {
	rooms := durableobject.NewNamespace(newRoom, &durableobject.Options{
		Verifier: key,
		Presence: &durableobject.PresenceOptions{}, // nil means off
	})
	return rooms
}

func (r *Room) Members(
	ctx context.Context, _ *durableobject.Websocket, _ rpc.Void, w *rpc.EventWriter[Change],
) (rpc.Void, error) {
	if err := w.Send(Change{Kind: "reset"}); err != nil { // each time that the stream is opened
		return rpc.Void{}, err
	}
	for change, err := range r.PresenceChanges(ctx) {
		if err != nil {
			return rpc.Void{}, err
		}
		if err := w.Send(Change{Kind: string(change.Kind), ID: change.Member.ID}); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

func ban(ctx context.Context, rooms *durableobject.Namespace[*Room], tokenTTL time.Duration) error {
	const margin = 10 * time.Second // longer than the procedure takes that makes tokens
	last := time.Now().Add(margin)
	who := durableobject.Who{Subject: "mallory", IssuedBefore: last}
	if _, err := rooms.Disconnect(ctx, who, 4403, "You were banned"); err != nil {
		return err
	}
	return rooms.Revoke(ctx, who, last.Add(tokenTTL))
}

func readOldest(room *client.Iterator[Message], show func(Message)) error {
	oldest := ""
	for e, err := range room.Events() {
		if err != nil {
			return err
		}
		if oldest == "" {
			oldest = e.Meta.ID // History with Before: oldest returns the events before it
		}
		show(e.Data)
	}
	return nil
}

var reload = rpc.Define[rpc.Void, []Message]("reload")

func reloadOnGap(ctx context.Context, source client.TokenSource, options client.Options, show func([]Message)) error {
	var room *client.Iterator[Message]
	options.OnGap = func(ctx context.Context, _ *client.GapError) {
		if messages, err := reload.Call(ctx, room, rpc.Void{}); err == nil {
			show(messages)
		}
	}
	room, err := client.Dial[Message](ctx, source, &options)
	if err != nil {
		return err
	}
	return readOldest(room, func(m Message) { show([]Message{m}) })
}

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
		for reason, n := range s.Refusals {
			_, _ = fmt.Fprintf(w, "rooms_refusals_total{reason=%q} %d\n", reason, n)
		}
	})
}

func newScore(ctx context.Context, o *durableobject.Object[int]) (*Score, error) {
	s := &Score{Object: o}
	for h := (durableobject.HistoryOptions{After: "0", Limit: 1000}); ; {
		page, err := o.History(ctx, h)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			s.total += e.Event
		}
		if h.After = page.Next; h.After == "" {
			return s, nil
		}
	}
}
