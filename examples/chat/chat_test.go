package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The demo fails if a client receives anything else than its part of the script.
func TestDemo(t *testing.T) {
	t.Parallel()
	url, stop, err := serve("127.0.0.1:0", "")
	require.NoError(t, err)
	defer stop()
	var out bytes.Buffer
	require.NoError(t, playDemo(t.Context(), url, &out), "%s", &out)
	require.Contains(t, out.String(), "bob   saw \"ann: three\"")
}

// A client that was away while the server was restarted receives the messages before and after.
func TestRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	dir := t.TempDir()
	url, stop, err := serve("127.0.0.1:0", dir)
	require.NoError(t, err)
	d := &demo{out: t.Output(), server: url, cast: map[string]*actor{}}
	defer d.close()
	require.NoError(t, d.enter(ctx, "ann"))
	require.NoError(t, d.enter(ctx, "bob"))
	ann, bob := d.cast["ann"], d.cast["bob"]
	say := func(text string) {
		t.Helper()
		_, err := Say.Call(ctx, ann.room, Text{text})
		require.NoError(t, err)
	}

	say("one")
	require.NoError(t, bob.expect(ctx, d.out, []string{"ann: one"}))
	bob.cutAndHold()
	say("two")
	stop()

	_, stop, err = serve(strings.TrimPrefix(url, "http://"), dir)
	require.NoError(t, err)
	defer stop()
	say("three")
	bob.release()
	require.NoError(t, bob.expect(ctx, d.out, []string{"ann: two", "ann: three"}))
}

// A new client receives the last fifty messages that are for it, each once.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(nil)
		handler, shutdown := newServer(token.Secret("a secret for the test"), log)
		server := memhttp.NewServer(handler)
		join := func(name string) (*client.Iterator[Message], error) {
			return visitor{server: server.URL(), name: name, hc: server.Client()}.join(t.Context())
		}
		ann, err := join("ann")
		require.NoError(t, err)
		for i := range 60 {
			_, err := Say.Call(t.Context(), ann, Text{fmt.Sprint("line ", i)})
			require.NoError(t, err)
			_, err = Report.Call(t.Context(), ann, Text{"of interest to the admin only"})
			require.NoError(t, err)
		}
		time.Sleep(2 * retention) // longer than clients can resume

		in, prompt := io.Pipe()
		var out bytes.Buffer
		left := make(chan error, 1)
		go func() {
			left <- chat(t.Context(), visitor{server: server.URL(), name: "bob", hc: server.Client()}, in, &out)
		}()
		synctest.Wait()
		_, err = Say.Call(t.Context(), ann, Text{"hello bob"})
		require.NoError(t, err)
		synctest.Wait()
		_, text, _ := strings.Cut(out.String(), "\n")
		var want strings.Builder
		for i := range 50 {
			fmt.Fprintf(&want, "ann: line %d\n", i+10)
		}
		require.Equal(t, want.String()+"ann: hello bob\n", text)

		newest, err := History.Call(t.Context(), ann, HistoryInput{})
		require.NoError(t, err)
		require.Empty(t, newest.Lines, "ann's messages are not for her own socket")
		require.NoError(t, prompt.Close())
		require.NoError(t, <-left)
		require.NoError(t, ann.Close())
		require.NoError(t, shutdown(t.Context()))
		server.Close()
		require.NoError(t, log.Close())
	})
}

// A client that joins before the server is running waits for it. Slashes at the end of the
// URL are ignored.
func TestJoinWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(nil)
		handler, shutdown := newServer(token.Secret("a secret for the test"), log)
		server := memhttp.NewServer(handler)
		server.SetDown(true)
		in, prompt := io.Pipe()
		var out bytes.Buffer
		left := make(chan error, 1)
		go func() {
			left <- chat(t.Context(), visitor{server: server.URL() + "//", name: "ann", hc: server.Client()}, in, &out)
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, strings.Count(out.String(), "! waiting for the server"), "%s", &out)
		server.SetDown(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Contains(t, out.String(), "You are ann.")
		require.NoError(t, prompt.Close())
		require.NoError(t, <-left)
		require.NoError(t, shutdown(t.Context()))
		server.Close()
		require.NoError(t, log.Close())
	})
}

func TestJoinWithABadAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"localhost:3000", "ws://localhost:3000", "chat"} {
		err := chat(t.Context(), visitor{server: address, name: "ann"}, strings.NewReader(""), io.Discard)
		require.ErrorIs(t, err, rpc.ErrAddress)
	}
}
