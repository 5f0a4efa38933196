package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// asTail is the environment variable that makes the test binary the program.
const asTail = "RUN_AS_TAIL"

func TestMain(m *testing.M) {
	if os.Getenv(asTail) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// service is a server with one channel of numbers. It serves tokens at /token, and with a
// procedure at /rpc/listen.
type service struct {
	t     *testing.T
	url   string
	count *durableobject.Object[int]
}

type listenInput struct {
	Name string `json:"name" validate:"required"`
}

func newService(t *testing.T) *service {
	t.Helper()
	handler, count, shutdown := newHandler(t)
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		shutdown()
	})
	return &service{t, server.URL, count}
}

func newHandler(t *testing.T) (h http.Handler, count *durableobject.Object[int], shutdown func()) {
	t.Helper()
	key := token.Secret("a secret for the test")
	counts := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*durableobject.Object[int], error) {
		return o, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: time.Minute})
	subscription := func() *durableiterator.Subscription[int] {
		return durableiterator.New[int]("count", &durableiterator.Options{Signer: key})
	}
	listen := durableiterator.Define[listenInput, int]("listen")
	mux := http.NewServeMux()
	mux.Handle("/socket", durableobject.NewHandler(counts, nil))
	mux.Handle("/token", subscription())
	mux.Handle("/rpc/", rpc.NewHandler(
		rpc.NewRouter(listen.Handler(func(context.Context, listenInput) (*durableiterator.Subscription[int], error) {
			return subscription(), nil
		})),
		&rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}}},
	))
	count, err := counts.Get(t.Context(), "count")
	require.NoError(t, err)
	return mux, count, func() { require.NoError(t, counts.Shutdown(context.Background())) }
}

// publish publishes numbers from first to last.
func (s *service) publish(first, last int) {
	s.t.Helper()
	for n := first; n <= last; n++ {
		require.NoError(s.t, s.count.PublishEvent(s.t.Context(), n))
	}
}

// expectCursor waits until the file has a cursor for which is returns true.
func expectCursor(t *testing.T, file string, is func(stored string) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		stored, err := loadCursor(file)
		return err == nil && is(stored)
	}, 10*time.Second, time.Millisecond)
}

func isSet(stored string) bool { return stored != "" }

// program is tail in a separate process.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	cursor string
}

func start(s *service, cursor string) *program {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0],
		"-url", s.url+"/socket", "-token-url", s.url+"/rpc/listen", "-json", "-cursor", cursor)
	cmd.Env = append(os.Environ(), asTail+"=1")
	cmd.Stderr = s.t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	return &program{s.t, cmd, bufio.NewScanner(out), cursor}
}

// expect reads the numbers from first to last, and waits until the cursor is stored.
func (p *program) expect(first, last int) {
	p.t.Helper()
	var got line
	for n := first; n <= last; n++ {
		require.True(p.t, p.lines.Scan(), "%v", p.lines.Err())
		require.NoError(p.t, json.Unmarshal(p.lines.Bytes(), &got))
		require.JSONEq(p.t, fmt.Sprintf(`{"json":%d}`, n), string(got.Event))
	}
	expectCursor(p.t, p.cursor, func(stored string) bool { return stored == got.ID })
}

// kill kills the program, and checks that it has printed nothing else.
func (p *program) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	rest := p.lines.Scan()
	require.Error(p.t, p.cmd.Wait())
	require.False(p.t, rest, "%s", p.lines.Bytes())
}

func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	cursor := filepath.Join(t.TempDir(), "cursor")

	first := start(s, cursor)
	expectCursor(t, cursor, isSet)
	first.kill() // before it has received anything

	next := 1
	for range 3 {
		s.publish(next, next+2) // while no program runs
		p := start(s, cursor)
		p.expect(next, next+2)
		s.publish(next+3, next+5)
		p.expect(next+3, next+5)
		p.kill()
		next += 6
	}
	left, err := filepath.Glob(cursor + "*")
	require.NoError(t, err)
	require.Equal(t, []string{cursor}, left)
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	cursor := filepath.Join(t.TempDir(), "cursor")
	read, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		follow := tail{url: s.url + "/socket", tokenURL: s.url + "/token", cursor: cursor, out: out, notes: t.Output()}
		ended <- follow.run(ctx)
		_ = out.Close()
	}()
	expectCursor(t, cursor, isSet) // so it is connected
	s.publish(1, 2)
	lines := bufio.NewScanner(read)
	for _, want := range []string{"1", "2"} {
		require.True(t, lines.Scan())
		require.Equal(t, want, lines.Text())
	}
	interrupt()
	require.False(t, lines.Scan())
	require.NoError(t, <-ended)
}

func TestSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.publish(1, 3)
	cursor := filepath.Join(t.TempDir(), "cursor")
	require.NoError(t, storeCursor(cursor, "an id of another server"))
	var out, notes bytes.Buffer
	follow := tail{url: s.url + "/socket", tokenURL: s.url + "/token", cursor: cursor, most: 3, out: &out, notes: &notes}
	require.NoError(t, follow.run(t.Context()))
	require.Equal(t, "1\n2\n3\n", out.String())
	require.Equal(t, "tail: client: events are missing: truncated\n", notes.String())
}

// It waits for its server, whichever way it fetches tokens. Slashes at the end of URLs are
// ignored.
func TestWaitsForAServerThatIsNotUpYet(t *testing.T) {
	for name, flags := range map[string]tail{
		"a procedure": {url: "ws://memory/socket", tokenURL: "http://memory/rpc/listen", input: `{"name":"tail"}`},
		"GET":         {url: "ws://memory/socket", tokenURL: "http://memory/token"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler, count, shutdown := newHandler(t)
				server := memhttp.NewServer(handler)
				server.SetDown(true)
				var out, notes bytes.Buffer
				flags.most, flags.hc, flags.out, flags.notes = 1, server.Client(), &out, &notes
				ended := make(chan error, 1)
				go func() { ended <- flags.run(t.Context()) }()
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, 1, strings.Count(notes.String(), "waiting for the server"), "%s", &notes)
				server.SetDown(false)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.NoError(t, count.PublishEvent(t.Context(), 7))
				require.NoError(t, <-ended)
				require.Equal(t, "7\n", out.String())
				server.Close()
				shutdown()
			})
		})
	}
}

func TestLeavesWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(http.NotFoundHandler())
		server.SetDown(true)
		ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
		defer interrupt()
		follow := tail{url: "ws://h", tokenURL: "http://h/token", hc: server.Client(), notes: io.Discard}
		require.NoError(t, follow.run(ctx))
		server.Close()
	})
}

func TestRefusesBadFlags(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]tail{
		"input that is no JSON": {url: "ws://h", tokenURL: "http://h/rpc/listen", input: "{"},
		"no address":            {url: "ws://h", tokenURL: "localhost:3000/token"},
		"no address of a link":  {url: "ws://h", tokenURL: "localhost:3000/listen", input: "{}"},
		"no procedure":          {url: "ws://h", tokenURL: "http://h/rpc/", input: "{}"},
		"a cursor that cannot be read": {
			url: "ws://h", tokenURL: "http://h/rpc/listen", cursor: t.TempDir(), // a directory
		},
	} {
		require.Error(t, bad.run(t.Context()), name)
	}
}
