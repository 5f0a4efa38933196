package stacks

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
	"github.com/go-orpc/durable-iterator/token"
)

const key = token.Secret("0123456789abcdef0123456789abcdef")

var (
	ping    = rpc.Define[rpc.Void, string]("ping")
	count   = rpc.DefineEvents[int, int, int]("count")
	onEvent = durableiterator.Define[rpc.Void, string]("onEvent")
)

// app has the handlers behind a stack.
type app struct {
	address string
	rooms   *durableobject.Namespace[*durableobject.Object[string]]
	log     *logged // of the library
	server  *logged // of net/http
	sent    chan int
}

// logged is a log that is written by several goroutines.
type logged struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed by the next Write
}

func newLogged() *logged { return &logged{written: make(chan struct{})} }

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.written)
	l.written = make(chan struct{})
	return l.text.Write(p)
}

// requireLine waits for a line, since the library logs on other goroutines.
func (l *logged) requireLine(t *testing.T, part string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		found, written := bytes.Contains(l.text.Bytes(), []byte(part)), l.written
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-written:
		case <-timeout:
			require.Contains(t, l.String(), part)
		}
	}
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve serves procedures at /rpc/, the sockets of procedures at /calls and those of
// objects at /socket, all behind a stack.
func serve(t *testing.T, stack func(http.Handler) http.Handler) *app {
	t.Helper()
	a := &app{log: newLogged(), server: newLogged(), sent: make(chan int)}
	logger := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelError}))
	a.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[string]) (*durableobject.Object[string], error) {
		return o, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: time.Minute, Logger: logger})
	router := rpc.NewRouter(
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return strings.Repeat("pong ", 1000), nil }),
		count.Handler(a.count),
		onEvent.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
			return durableiterator.New[string]("room", nil), nil
		}),
	)
	calls := websocket.NewHandler(router, &websocket.HandlerOptions{Logger: logger})
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", Logger: logger, Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
	}))
	mux.Handle("/calls", calls)
	mux.Handle("/socket", durableobject.NewHandler(a.rooms, nil))

	server := httptest.NewUnstartedServer(stack(mux))
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(a.server, nil), slog.LevelError)
	server.Start()
	a.address = server.URL
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, a.rooms.Shutdown(context.Background()))
		require.NoError(t, calls.Shutdown(context.Background()))
	})
	return a
}

// count sends an event each time that the test requests one.
func (a *app) count(ctx context.Context, n int, w *rpc.EventWriter[int]) (int, error) {
	for range n {
		select {
		case i := <-a.sent:
			if err := w.Send(i); err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return n, nil
}

func (a *app) link() *rpc.Link {
	return rpc.NewLink(a.address+"/rpc", &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{
		&client.LinkPlugin{URL: a.socket("/socket")},
	}})
}

func (a *app) socket(path string) string { return "ws" + strings.TrimPrefix(a.address, "http") + path }
