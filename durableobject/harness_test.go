package durableobject_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const secret = token.Secret("secret-key")

type message struct {
	Text string `json:"text"`
}

// room is an object with a method of each kind that the tests need.
type room struct {
	*durableobject.Object[message]
	hooks *roomHooks
}

// roomHooks are functions with which tests observe or replace the hooks of rooms.
type roomHooks struct {
	context      func(ctx context.Context) // of every hook
	subscribed   func(r *room, ws *durableobject.Websocket, res durableobject.Resume) error
	disconnected func(ws *durableobject.Websocket)
	made         func(channel string) // by newHub
	evicted      func(channel string)
	streamEnded  func(sent int) // by an error of Send
	told         func()         // of a tell
}

func (r *room) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, res durableobject.Resume) error {
	if r.hooks.context != nil {
		r.hooks.context(ctx)
	}
	if r.hooks.subscribed == nil {
		return nil
	}
	return r.hooks.subscribed(r, ws, res)
}

func (r *room) OnDisconnected(ctx context.Context, ws *durableobject.Websocket) {
	if r.hooks.context != nil {
		r.hooks.context(ctx)
	}
	if r.hooks.disconnected != nil {
		r.hooks.disconnected(ws)
	}
}

func (r *room) OnEvicted(ctx context.Context) {
	if r.hooks.context != nil {
		r.hooks.context(ctx)
	}
	if r.hooks.evicted != nil {
		r.hooks.evicted(r.Channel())
	}
}

var (
	say     = rpc.Define[message, rpc.Void]("say")
	tell    = rpc.Define[message, string]("tell")
	fail    = rpc.Define[string, rpc.Void]("fail")
	toolbox = rpc.Group("toolbox")
	hang    = rpc.DefineIn[rpc.Void, rpc.Void](toolbox, "hang")
)

func (r *room) say(ctx context.Context, ws *durableobject.Websocket, in message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithExclude(ws))
}

func (r *room) tell(ctx context.Context, _ *durableobject.Websocket, in message) (string, error) {
	if r.hooks.told != nil {
		r.hooks.told()
	}
	return "told " + in.Text, r.PublishEvent(ctx, in)
}

func (r *room) fail(_ context.Context, _ *durableobject.Websocket, how string) (rpc.Void, error) {
	switch how {
	case "panic":
		panic("a secret")
	case "conflict":
		return rpc.Void{}, rpc.Errorf(rpc.CodeConflict, "already there")
	}
	return rpc.Void{}, errors.New("a secret")
}

func (r *room) hang(ctx context.Context, _ *durableobject.Websocket, _ rpc.Void) (rpc.Void, error) {
	<-ctx.Done()
	return rpc.Void{}, ctx.Err()
}

// fixture is a namespace of rooms behind an HTTP server in memory.
type fixture struct {
	t     *testing.T
	rooms *durableobject.Namespace[*room]
	hooks *roomHooks
	up    *durableobject.HandlerOptions
	http  *http.Client
	ended []func()
}

// bubble runs a test on a namespace, in a synctest bubble.
func bubble(t *testing.T, o durableobject.Options, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, o, nil)
		test(t, f)
		f.end()
	})
}

func newFixture(t *testing.T, o durableobject.Options, u *durableobject.HandlerOptions) *fixture {
	t.Helper()
	f := &fixture{t: t, hooks: &roomHooks{}, up: u}
	if o.Verifier == nil {
		o.Verifier = secret
	}
	f.rooms = durableobject.NewNamespace(func(_ context.Context, obj *durableobject.Object[message]) (*room, error) {
		if f.hooks.made != nil {
			f.hooks.made(obj.Channel())
		}
		return &room{obj, f.hooks}, nil
	}, &o)
	durableobject.Handle(f.rooms, say, (*room).say)
	durableobject.Handle(f.rooms, tell, (*room).tell)
	durableobject.Handle(f.rooms, fail, (*room).fail)
	durableobject.Handle(f.rooms, hang, (*room).hang)
	durableobject.HandleEvents(f.rooms, stream, (*room).stream)
	f.serve(f.upgrade())
	return f
}

// serve lets clients connect to a handler.
func (f *fixture) serve(h http.Handler) {
	srv := memhttp.NewServer(h)
	f.http = srv.Client()
	f.ended = append(f.ended, srv.Close)
}

func (f *fixture) upgrade() http.Handler { return durableobject.NewHandler(f.rooms, f.up) }

func collect(sockets iter.Seq[*durableobject.Websocket]) []*durableobject.Websocket {
	return slices.Collect(sockets)
}

// end shuts everything down. The bubble reports goroutines that are left over.
func (f *fixture) end() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(f.t, f.rooms.Shutdown(ctx))
	for _, end := range f.ended {
		end()
	}
}

func (f *fixture) room(name string) *room {
	f.t.Helper()
	r, err := f.rooms.Get(context.Background(), name)
	require.NoError(f.t, err)
	return r
}

func (f *fixture) publish(text string, opts ...durableobject.PublishOption) {
	f.t.Helper()
	require.NoError(f.t, f.room("room").PublishEvent(context.Background(), message{text}, opts...))
}

// rawClient is a client that sends and receives frames.
type rawClient struct {
	t      *testing.T
	ws     *websocket.Conn
	frames chan string
	closed chan websocket.CloseError
}

type tokenOption func(*token.Payload)

func withTags(tags ...string) tokenOption { return func(p *token.Payload) { p.Tags = tags } }

func withLife(d time.Duration) tokenOption {
	return func(p *token.Payload) { p.ExpiresAt = p.IssuedAt.Add(d) }
}

func withAtt(att string) tokenOption {
	return func(p *token.Payload) { p.Att = json.RawMessage(att) }
}

func sign(t *testing.T, channel string, opts ...tokenOption) string {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	p := &token.Payload{
		Channel: channel, RPC: []string{"say", "tell", "fail", "toolbox", "missing"},
		IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}
	for _, opt := range opts {
		opt(p)
	}
	tok, err := secret.Sign(context.Background(), p)
	require.NoError(t, err)
	return tok
}

// connect opens a socket for the room "room".
func (f *fixture) connect(id string, opts ...tokenOption) *rawClient {
	f.t.Helper()
	c, err := f.dial(url.Values{"id": {id}, "token": {sign(f.t, "room", opts...)}})
	require.NoError(f.t, err)
	return c
}

func (f *fixture) dial(query url.Values) (*rawClient, error) {
	c, read, err := f.open(query)
	if err == nil {
		go read()
	}
	return c, err
}

// stalled opens a socket that reads nothing until read is called.
func (f *fixture) stalled(id string) (c *rawClient, read func()) {
	f.t.Helper()
	c, read, err := f.open(url.Values{"id": {id}, "token": {sign(f.t, "room")}})
	require.NoError(f.t, err)
	return c, read
}

func (f *fixture) open(query url.Values) (c *rawClient, read func(), err error) {
	ws, res, err := websocket.Dial(context.Background(), "ws://rooms/?"+query.Encode(), &websocket.DialOptions{HTTPClient: f.http})
	if err != nil {
		if res != nil {
			err = fmt.Errorf("status %d: %w", res.StatusCode, err)
		}
		return nil, nil, err
	}
	ws.SetReadLimit(-1)
	c = &rawClient{t: f.t, ws: ws, frames: make(chan string, 1<<16), closed: make(chan websocket.CloseError, 1)}
	return c, func() {
		defer close(c.frames)
		for {
			_, frame, err := ws.Read(context.Background())
			if err != nil {
				ce, _ := errors.AsType[websocket.CloseError](err)
				c.closed <- ce
				return
			}
			c.frames <- string(frame)
		}
	}, nil
}

func (c *rawClient) send(frame string) {
	c.t.Helper()
	require.NoError(c.t, c.ws.Write(context.Background(), websocket.MessageText, []byte(frame)))
}

// subscribe subscribes with the id "1" and reads the answer.
func (c *rawClient) subscribe(header ...string) {
	c.t.Helper()
	h := ""
	if len(header) > 0 {
		h = `,"h":{` + strings.Join(header, ",") + `}`
	}
	c.send(`{"i":"1","p":{"u":"/subscribe","b":{}` + h + `}}`)
	require.Contains(c.t, c.next(), `"content-type":"text/event-stream"`)
}

func lastEventID(id string) string { return `"last-event-id":"` + id + `"` }

const extension = `"x-durable-iterator":"1"`

// next returns the next frame, which must arrive before anything else can happen.
func (c *rawClient) next() string {
	c.t.Helper()
	frame, ok := <-c.frames
	if !ok {
		require.Fail(c.t, "the socket was closed", "%v", <-c.closed)
	}
	return frame
}

// event reads the next frame, which must be an event, and returns its text and id.
func (c *rawClient) event() (text, id string) {
	c.t.Helper()
	frame := c.next()
	var e struct {
		P struct {
			E string
			D struct{ JSON message }
			M struct{ ID string }
		}
	}
	require.NoError(c.t, json.Unmarshal([]byte(frame), &e), frame)
	require.Equal(c.t, "message", e.P.E, frame)
	return e.P.D.JSON.Text, e.P.M.ID
}

func (c *rawClient) sees(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		got, _ := c.event()
		require.Equal(c.t, want, got)
	}
}

// seesNothing waits until all goroutines are idle, and requires that there is no frame.
func (c *rawClient) seesNothing() {
	c.t.Helper()
	synctest.Wait()
	select {
	case frame, ok := <-c.frames:
		require.False(c.t, ok, "unexpected: %s", frame)
	default:
	}
}

// drop closes the connection without a close frame.
func (c *rawClient) drop() {
	_ = c.ws.CloseNow()
	synctest.Wait()
}

// logBook keeps what is logged.
type logBook struct {
	written func() // called for each line, if it is not nil

	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	if l.written != nil {
		l.written()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// has waits for idle goroutines, and requires a log line of level ERROR with the text, or none if
// it is empty.
func (l *logBook) has(t *testing.T, text string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == "" {
		require.NotContains(t, l.text.String(), "level=ERROR")
		return
	}
	require.Regexp(t, `level=ERROR .*`+regexp.QuoteMeta(text), l.text.String())
}

// matches waits for idle goroutines, and requires a log line of level ERROR that matches.
func (l *logBook) matches(t *testing.T, pattern string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Regexp(t, `level=ERROR .*`+pattern, l.text.String())
}

// neverTrimmed is a log that ignores Trim.
type neverTrimmed struct{ eventlog.Log }

func (neverTrimmed) Trim(context.Context, time.Time) error { return nil }
