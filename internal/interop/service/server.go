package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	secret      = token.Secret("secret-key")
	defaultRoom = "some-room"
	maxBytes    = 4 << 20 // of a message or a body
)

type options struct {
	data      string       // directory of the log, see run
	nodes     int          // more than 1: a cluster, see run
	open      Opener       // the logs of a cluster
	log       eventlog.Log // of the chat rooms; nil: in memory
	retention time.Duration
	logger    *slog.Logger

	// These are set for a server that is one of several.
	cluster *cluster
	plain   *durableobject.Namespace[*room] // nil for the first
}

// server has the handlers of one address.
type server struct {
	http.Handler
	chat, plain *durableobject.Namespace[*room]
	latest      *durableobject.Namespace[*room] // as chat, but clients begin with the latest events
	sockets     *websocket.Handler
}

func newServer(o options) *server {
	s := &server{
		chat: durableobject.NewNamespace(roomsOf(o.cluster), &durableobject.Options{
			Verifier: secret, ResumeRetention: o.retention, Log: o.log, MaxMessageBytes: maxBytes, Logger: o.logger,
		}),
		latest: durableobject.NewNamespace(newRoom, o.latest()),
		plain:  o.plain,
	}
	handle(s.chat)
	handle(s.latest)
	if s.plain == nil {
		s.plain = durableobject.NewNamespace(newRoom, &durableobject.Options{
			Verifier: secret, MaxMessageBytes: maxBytes, Logger: o.logger,
		})
		handle(s.plain)
	}
	router, plugins := s.router(), []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: secret}}
	s.sockets = websocket.NewHandler(router, &websocket.HandlerOptions{
		MaxMessageBytes: maxBytes, Logger: o.logger, Plugins: plugins,
	})
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", MaxBodyBytes: maxBytes, Logger: o.logger, Plugins: append(plugins, &rpc.BatchPlugin{}),
	}))
	mux.Handle("/rpc-ws", s.sockets)
	mux.Handle("/chat-room", durableobject.NewHandler(s.chat, &durableobject.HandlerOptions{AnyOrigin: true}))
	mux.Handle("/latest-room", durableobject.NewHandler(s.latest, &durableobject.HandlerOptions{AnyOrigin: true}))
	mux.Handle("/plain-room", durableobject.NewHandler(s.plain, &durableobject.HandlerOptions{AnyOrigin: true}))
	s.Handler = mux
	return s
}

// latest returns the options of the rooms whose clients begin with the latest three events.
// They share the log of the others.
func (o options) latest() *durableobject.Options {
	rooms := &durableobject.Options{Verifier: secret, ResumeRetention: o.retention, MaxMessageBytes: maxBytes, Logger: o.logger}
	if o.retention > 0 {
		rooms.Latest = 3
	}
	if o.log != nil {
		rooms.Log = eventlog.Prefix(o.log, "latest/")
	}
	return rooms
}

func (s *server) drain() {
	s.chat.Drain()
	s.latest.Drain()
	s.plain.Drain()
	s.sockets.Drain()
}

func (s *server) shutdown(ctx context.Context) error {
	return errors.Join(s.chat.Shutdown(ctx), s.latest.Shutdown(ctx), s.plain.Shutdown(ctx), s.sockets.Shutdown(ctx))
}

func (s *server) router() *rpc.Router {
	return rpc.NewRouter(
		onMessage.Handler(subscribe),
		onPlainMessage.Handler(subscribe),
		onSeedMessage.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[event], error) {
			return durableiterator.New[event](defaultRoom, &durableiterator.Options{
				Tags: []string{"tag1", "tag2"}, ID: durableiterator.NoID,
			}), nil
		}),
		sendMessage.Handler(publishIn(s.chat)),
		sendPlainMessage.Handler(publishIn(s.plain)),
		sendLatestMessage.Handler(publishIn(s.latest)),
		echo.Handler(func(_ context.Context, in value.Value) (value.Value, error) { return in, nil }),
		fail.Handler(func(_ context.Context, in failInput) (rpc.Void, error) { return rpc.Void{}, failure(in.Kind) }),
		readable.Handler(func(_ context.Context, in value.Value) (got, error) { return got{in}, nil }),
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
		upload.Handler(receive),
		download.Handler(func(context.Context, rpc.Void) (downloaded, error) { return downloaded{File: hello()}, nil }),
		rawFile.Handler(func(context.Context, rpc.Void) (*value.File, error) { return raw(), nil }),
		lastEventID.Handler(giveLastEventID),
		count.Handler(countTo),
		collect.Handler(collectAll),
		twice.Handler(sendTwice),
	)
}

func giveLastEventID(ctx context.Context, _ rpc.Void) (*string, error) {
	var last *string
	if call, ok := rpc.CallOf(ctx); ok && call.LastEventID != "" {
		last = &call.LastEventID
	}
	return last, nil
}

// countTo sends a number after each pause.
func countTo(ctx context.Context, in countInput, w *rpc.EventWriter[counted]) (countTotal, error) {
	for n := 1; n <= in.To; n++ {
		select {
		case <-time.After(milliseconds(in.MS)):
		case <-ctx.Done():
			return countTotal{}, ctx.Err()
		}
		if n == in.FailAt {
			return countTotal{}, rpc.Errorf(rpc.CodeConflict, "stopped at %d", n)
		}
		meta := rpc.EventMeta{ID: fmt.Sprint("n-", n), Retry: 1234 * time.Millisecond}
		if err := w.SendEvent(rpc.Event[counted]{Data: counted{n}, Meta: meta}); err != nil {
			return countTotal{}, err
		}
	}
	return countTotal{in.To}, nil
}

func subscribe(_ context.Context, in *subscribeInput) (*durableiterator.Subscription[event], error) {
	if in == nil {
		in = &subscribeInput{}
	}
	it := durableiterator.New[event](cmp.Or(in.Room, defaultRoom), &durableiterator.Options{
		Tags: in.Tags, Att: in.Att, TokenTTL: milliseconds(in.TTL * 1000),
		ID: durableiterator.NoID, // the original has none
	})
	if in.RPC == nil {
		return it.RPC(singleClient, routerClient, toolbox), nil
	}
	methods := make([]rpc.Method, len(in.RPC))
	for i, name := range in.RPC {
		methods[i] = rpc.Name(name)
	}
	return it.RPC(methods...), nil
}

func publishIn(rooms *durableobject.Namespace[*room]) func(context.Context, publishInput) (rpc.Void, error) {
	return func(ctx context.Context, in publishInput) (rpc.Void, error) {
		r, err := rooms.Get(ctx, cmp.Or(in.Room, defaultRoom))
		if err != nil {
			return rpc.Void{}, err
		}
		return r.publishInput(ctx, nil, in)
	}
}

// failure returns an error of a kind that a handler can return.
func failure(kind string) error {
	switch kind {
	case "defined":
		return errTeapot.New(teapot{"green"})
	case "orpc":
		e := rpc.Errorf(rpc.CodeConflict, "already there")
		e.Data = conflict{ID: big.NewInt(7), At: time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)}
		return e
	case "custom":
		return &rpc.Error{Code: "MY_OWN_CODE", Status: 460, Message: "own", Data: []int{1, 2}}
	case "unknown-code":
		return &rpc.Error{Code: "NO_STATUS_GIVEN"}
	}
	return errors.New(strings.Repeat("a secret that must not reach the client; ", 2))
}
