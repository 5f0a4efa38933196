package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// A fresh clone has no scripts: the error of the program describes how to build them.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), config{Addr: "127.0.0.1:0", Web: t.TempDir(), Key: "key"}, io.Discard)
	require.ErrorIs(t, err, errNotBuilt)
	require.ErrorContains(t, err, "go generate ./examples/browser")
}

func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dist"), 0o700))
	for _, name := range []string{"dist/chat.js", "dist/plain.js", "index.html"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, config{Addr: "127.0.0.1:0", Data: t.TempDir(), Web: dir, Key: "key"}, out) }()
	line := make([]byte, 100)
	n, err := address.Read(line)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, string(line[:n-1]), nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "index.html", string(text))
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'self'")
	http.DefaultClient.CloseIdleConnections()
	cancel()
	require.NoError(t, <-done)
}

// visitor is a client in Go that does the same as a page.
type visitor struct {
	t    *testing.T
	room *client.Iterator[Event]
}

func enter(t *testing.T, server *memhttp.Server, name string) visitor {
	t.Helper()
	link := rpc.NewLink(server.URL()+"/rpc", &rpc.LinkOptions{
		HTTPClient: server.Client(),
		Plugins:    []rpc.LinkPlugin{&client.LinkPlugin{URL: server.URL() + "/room"}},
	})
	room, err := client.Subscribe(t.Context(), link, Join, JoinInput{Room: "lobby", Name: name})
	require.NoError(t, err)
	return visitor{t, room}
}

func (v visitor) say(texts ...string) {
	v.t.Helper()
	var in SayInput
	for _, text := range texts {
		in.Lines = append(in.Lines, Line{Key: text, Text: text})
	}
	_, err := Say.Call(v.t.Context(), v.room, in)
	require.NoError(v.t, err)
}

func (v visitor) hears(want ...string) {
	v.t.Helper()
	for _, want := range want {
		var got string
		for event, err := range v.room.All() {
			require.NoError(v.t, err)
			if got = event.Typing + " is typing"; event.Said != nil {
				got = event.Said.From + ": " + event.Said.Text
			}
			break
		}
		require.Equal(v.t, want, got)
	}
}

// serve runs a test on a server with its log in memory, in a bubble.
func serve(t *testing.T, test func(t *testing.T, server *memhttp.Server)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, err := openLog("")
		require.NoError(t, err)
		handler, shutdown := newServer(config{Key: "key"}, fstest.MapFS{}, log)
		server := memhttp.NewServer(handler)
		defer func() {
			require.NoError(t, shutdown(context.Background()))
			server.Close()
			require.NoError(t, log.Close())
		}()
		test(t, server)
	})
}

// A visitor whose name is too long does not affect the list of others.
func TestNamesThatAreTooLong(t *testing.T) {
	serve(t, func(t *testing.T, server *memhttp.Server) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/token?room=lobby&name="+strings.Repeat("x", 41), nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)

		long := durableiterator.New[Event]("lobby", &durableiterator.Options{
			Att: User{strings.Repeat("x", 2000)}, Signer: token.Secret("key"),
		})
		tok, err := long.Token(t.Context())
		require.NoError(t, err)
		guest, err := client.Dial[Event](t.Context(), client.StaticToken(tok), &client.Options{
			URL: server.URL() + "/room", HTTPClient: server.Client(),
		})
		require.NoError(t, err)
		defer guest.Close()
		ann := enter(t, server, "ann")
		defer ann.room.Close()
		people, err := People.Call(t.Context(), ann.room, rpc.Void{})
		require.NoError(t, err)
		defer people.Close()
		seen := map[string]bool{}
		for person, err := range people.All() {
			require.NoError(t, err)
			if seen[person.Name] = person.Here; len(seen) == 2 {
				break
			}
		}
		require.Equal(t, map[string]bool{"ann": true, "somebody": true}, seen)
	})
}

func TestRoom(t *testing.T) {
	serve(t, func(t *testing.T, server *memhttp.Server) {
		ann := enter(t, server, "ann")
		defer ann.room.Close()
		people, err := People.Call(t.Context(), ann.room, rpc.Void{})
		require.NoError(t, err)
		defer people.Close()
		sees := func(want Person) {
			t.Helper()
			for person, err := range people.All() {
				require.NoError(t, err)
				require.Equal(t, want, person)
				break
			}
		}
		sees(Person{"ann", true})
		bob := enter(t, server, "bob")
		sees(Person{"bob", true})

		ann.say("one", "two")
		ann.say("two") // as after a lost answer
		_, err = Typing.Call(t.Context(), bob.room, rpc.Void{})
		require.NoError(t, err)
		ann.hears("ann: one", "ann: two", "bob is typing")
		bob.hears("ann: one", "ann: two")
		bob.say("three")
		bob.hears("bob: three") // and is not sent that he is typing
		again := enter(t, server, "bob")
		require.NoError(t, bob.room.Close()) // his other socket stays open
		time.Sleep(time.Minute)
		require.NoError(t, again.room.Close())
		start := time.Now()
		sees(Person{"bob", false})
		require.InDelta(t, grace, time.Since(start), float64(time.Second))

		mei := enter(t, server, "mei") // receives earlier messages, but not who was typing
		mei.hears("ann: one", "ann: two", "bob: three")
		require.NoError(t, mei.room.Close())
	})
}

func TestSayIsChecked(t *testing.T) {
	serve(t, func(t *testing.T, server *memhttp.Server) {
		ann := enter(t, server, "ann")
		for name, in := range map[string]SayInput{
			"nothing":      {},
			"without text": {[]Line{{Key: "k"}}},
			"without key":  {[]Line{{Text: "t"}}},
			"too many":     {make([]Line, 51)},
		} {
			_, err := Say.Call(t.Context(), ann.room, in)
			require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err), name)
		}
		require.NoError(t, ann.room.Close())
	})
}
