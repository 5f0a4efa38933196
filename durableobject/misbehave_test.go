package durableobject_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// panicking is a log that panics in one of its methods.
type panicking struct {
	eventlog.Log
	in func(method string)
}

func (l panicking) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	l.in("Append")
	return l.Log.Append(ctx, channel, r, deliver)
}

func (l panicking) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	l.in("Head")
	return l.Log.Head(ctx, channel)
}

func (l panicking) Trim(ctx context.Context, before time.Time) error {
	l.in("Trim")
	return l.Log.Trim(ctx, before)
}

// strange is an event or an output whose encoding is a function of the test.
type strange struct{ encode func() }

func (s strange) MarshalJSON() ([]byte, error) {
	s.encode()
	return []byte(`"strange"`), nil
}

type validatorFunc func() error

func (f validatorFunc) StructCtx(context.Context, any) error { return f() }

// handlerFunc is a slog.Handler.
type handlerFunc func()

func (f handlerFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f handlerFunc) WithGroup(string) slog.Handler             { return f }
func (f handlerFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f handlerFunc) InitHandler(o *rpc.HandlerOptions) {
	o.Interceptors = append(o.Interceptors, rpc.OnStart(func(context.Context, *rpc.Call) { f() }))
}
func (f handlerFunc) Verify(ctx context.Context, tok string) (*token.Payload, error) {
	f()
	return secret.Verify(ctx, tok)
}

// misbehaving is a namespace in which one kind of application code misbehaves once.
type misbehaving struct {
	kind    string
	strange func(kind string)
	up      durableobject.HandlerOptions
	options durableobject.Options
}

func newMisbehaving(t *testing.T, kind string, do func()) *misbehaving {
	t.Helper()
	m := &misbehaving{kind: kind}
	var armed atomic.Bool
	armed.Store(true)
	m.strange = func(what string) {
		if what == kind && armed.CompareAndSwap(true, false) {
			do()
		}
	}
	log := eventlog.NewMemory(nil)
	t.Cleanup(func() { _ = log.Close() })
	m.options = durableobject.Options{
		Verifier:        handlerFunc(func() { m.strange("Verifier") }),
		Channels:        func(string) bool { m.strange("Channels"); return true },
		Subject:         func(*payload) string { m.strange("Subject"); return "" },
		Interceptors:    []rpc.Interceptor{rpc.OnStart(func(context.Context, *rpc.Call) { m.strange("Interceptors") })},
		Plugins:         []rpc.HandlerPlugin{handlerFunc(func() { m.strange("Plugins") })},
		Validator:       validatorFunc(func() error { m.strange("Validator"); return nil }),
		Logger:          slog.New(handlerFunc(func() { m.strange("Logger") })),
		IdleTimeout:     time.Minute,
		ResumeRetention: time.Minute,
		Log:             panicking{log, func(method string) { m.strange("Log." + method) }},
		TrimLog:         true,
	}
	m.up = durableobject.HandlerOptions{
		Authorize: func(*http.Request, *payload) error { m.strange("Authorize"); return nil },
		Context:   func(r *http.Request) context.Context { m.strange("Context"); return r.Context() },
	}
	return m
}

// kinds returns the names of all kinds of application code that a namespace runs.
func kinds() []string {
	return []string{
		"Verifier", "Channels", "Subject", "Authorize", "Context", "newHub", "Interceptors", "Plugins", "Validator",
		"Logger", "method", "output", "event", "sent", "WithTargetsFunc", "WithExcludeFunc",
		"OnSubscribed", "OnDisconnected", "OnEvicted", "Log.Append", "Log.Head", "Log.Trim",
	}
}

type ruled struct {
	Text string `json:"text" validate:"required"`
}

var odd = rpc.Define[ruled, strange]("say")

// oddRoom is a hub whose methods and hooks may misbehave.
type oddRoom struct {
	*durableobject.Object[any]
	m       *misbehaving
	evicted *atomic.Int64
}

func (r *oddRoom) Odd(ctx context.Context, _ *durableobject.Websocket, _ ruled) (strange, error) {
	r.m.strange("method")
	if r.m.kind == "Logger" {
		return strange{}, errors.New("it is logged")
	}
	return strange{func() { r.m.strange("output") }}, r.publish(ctx)
}

func (r *oddRoom) publish(ctx context.Context) error {
	return r.PublishEvent(ctx, strange{func() { r.m.strange("event") }},
		durableobject.WithTargetsFunc(func(*durableobject.Websocket) bool { r.m.strange("WithTargetsFunc"); return true }),
		durableobject.WithExcludeFunc(func(*durableobject.Websocket) bool { r.m.strange("WithExcludeFunc"); return false }))
}

func (r *oddRoom) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	r.m.strange("OnSubscribed")
	return ws.Send(ctx, strange{func() { r.m.strange("sent") }})
}

func (r *oddRoom) OnDisconnected(context.Context, *durableobject.Websocket) {
	r.m.strange("OnDisconnected")
}

func (r *oddRoom) OnEvicted(context.Context) {
	r.m.strange("OnEvicted")
	r.evicted.Add(1)
}

// visit connects a client, subscribes, calls a method and disconnects, as far as that is possible.
func (f *fixture) visit(t *testing.T) {
	t.Helper()
	c, err := f.dial(url.Values{"id": {"a"}, "token": {sign(t, "room")}})
	if err != nil {
		return
	}
	c.send(subscribeFrame)
	synctest.Wait()
	_ = c.ws.Write(t.Context(), 1, []byte(`{"i":"2","p":{"u":"/call","b":{"json":{"path":["say"],"input":{"text":"x"}}}}}`))
	synctest.Wait()
	c.drop()
}

// After a panic of any application code, the object works, it is evicted when it is not used, and
// the namespace shuts down. The same applies to code that ends its goroutine, as t.FailNow does.
func TestPanicsOfTheApplication(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(){
		"panics":             func() { panic("misbehaving") },
		"ends its goroutine": runtime.Goexit,
	} {
		for _, kind := range kinds() {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					misbehaved := false
					testMisbehaving(t, newMisbehaving(t, kind, func() { misbehaved = true; do() }))
					require.True(t, misbehaved)
				})
			})
		}
	}
}

// A hook that ends its goroutine has the same effect as one that panics.
func TestOnSubscribedEndsItsGoroutine(t *testing.T) {
	var book logBook
	bubble(t, durableobject.Options{Logger: book.logger()}, func(t *testing.T, f *fixture) {
		f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error {
			runtime.Goexit()
			return nil
		}
		c := f.connect("a")
		c.subscribe()
		require.Equal(t, websocket.StatusInternalError, (<-c.closed).Code)
		book.matches(t, "hook=OnSubscribed channel=room .*has ended its goroutine")
	})
}

func testMisbehaving(t *testing.T, m *misbehaving) {
	t.Helper()
	var evicted atomic.Int64
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[any]) (*oddRoom, error) {
		m.strange("newHub")
		return &oddRoom{o, m, &evicted}, nil
	}, &m.options)
	durableobject.Handle(rooms, odd, (*oddRoom).Odd)
	f := &fixture{t: t}
	f.serve(durableobject.NewHandler(rooms, &m.up))
	for range 2 { // what panicked the first time works the second
		f.visit(t)
	}
	room, err := rooms.Get(t.Context(), "room")
	require.NoError(t, err)
	_ = room.publish(t.Context())
	require.NoError(t, room.publish(t.Context()))
	before := evicted.Load()
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	require.GreaterOrEqual(t, evicted.Load(), before, m.kind)
	again, err := rooms.Get(t.Context(), "room")
	require.NoError(t, err)
	require.NotSame(t, room, again, "the object is pinned")
	require.NoError(t, rooms.Shutdown(t.Context()))
	for _, end := range f.ended {
		end()
	}
}

// The logger may use the namespace that it logs for, and may never return.
func TestLoggersThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(r *room){ // nil hangs
		"publishes": func(r *room) { _ = r.PublishEvent(context.Background(), message{"logged"}) },
		"looks":     func(r *room) { collect(r.Websockets()) },
		"closes": func(r *room) {
			for ws := range r.Websockets() {
				if ws.ID() == "slow" {
					ws.Close(4000, "logged")
				}
			}
		},
		"panics": func(*room) { panic("cannot log") },
		"hangs":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLogger(t, log)
		})
	}
}

func testLogger(t *testing.T, log func(r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		var r atomic.Pointer[room]
		logged := make(chan struct{}, 10)
		o := durableobject.Options{MaxLagBytes: 1000, Logger: slog.New(handlerFunc(func() {
			select {
			case logged <- struct{}{}:
			default:
			}
			if log == nil {
				<-release
			} else if r := r.Load(); r != nil {
				log(r)
			}
		}))}
		f := newFixture(t, o, nil)
		r.Store(f.room("room"))
		slow, read := f.stalled("slow")
		slow.send(subscribeFrame)
		synctest.Wait()
		for range 100 {
			f.publish(strings.Repeat("x", 1000))
		}
		go read() // and it learns that it was too slow, which is logged
		<-logged
		fine := f.connect("fine")
		fine.subscribe()
		synctest.Wait()
		f.publish("goes on")
		slow.drop()
		fine.drop()
		f.end()
	})
}

// PublishEvent returns the errors and the panics of serializers and predicates.
func TestPublishPanics(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		f.connect("a").subscribe()
		err := f.room("room").PublishEvent(t.Context(), message{"x"},
			durableobject.WithTargetsFunc(func(*durableobject.Websocket) bool { panic("broken") }))
		p, ok := errors.AsType[*rpc.PanicError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "broken", p.Value)
		require.Equal(t, reflect.TypeFor[string](), reflect.TypeOf(p.Value))
		require.Error(t, f.room("room").PublishEvent(t.Context(), message{"x"}, durableobject.WithExcludeFunc(nil)))
		f.publish("goes on", durableobject.WithTargetsFunc(func(*durableobject.Websocket) bool {
			f.publish("a predicate may publish")
			return true
		}))
		for ws := range f.room("room").Websockets() {
			err := ws.Send(t.Context(), strange{func() { panic("broken") }})
			require.ErrorContains(t, err, "durableobject: send: ")
		}
	})
}
