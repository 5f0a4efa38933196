//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// requireOneName checks that the texts of errors begin with the name of the package and have it
// once, and that they do not name a package that callers do not know.
func requireOneName(t *testing.T, failures map[string]error) {
	t.Helper()
	for name, err := range failures {
		require.Error(t, err, name)
		require.True(t, strings.HasPrefix(err.Error(), "rpc: "), "%s: %v", name, err)
		require.Equal(t, 1, strings.Count(err.Error(), "rpc: "), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "peer: ", name)
	}
}

// errorOf calls a path with an input, and returns the error.
func errorOf(c rpc.Caller, path string, in any, opts ...rpc.CallOption) error {
	_, err := c.Call(context.Background(), &rpc.Call{Path: []string{path}, Input: in}, opts...)
	return err
}

func noEvents(context.Context, *rpc.EventWriter[int]) (rpc.Void, error) { return rpc.Void{}, nil }

func TestErrorsOfCallsNameThePackageOnce(t *testing.T) {
	t.Parallel()
	text, days := rpc.Define[string, string]("text"), rpc.DefineEvents[rpc.Void, int, rpc.Void]("days")
	router := rpc.NewRouter(
		text.Handler(func(_ context.Context, in string) (string, error) { return in, nil }),
		days.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[int]) (rpc.Void, error) {
			return noEvents(ctx, w)
		}),
	)
	answers := func(contentType, body string) *rpc.Link {
		network := roundTrip(func(*http.Request) (*http.Response, error) { return reply(200, contentType, body), nil })
		return rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()})
	}
	broken := rpc.NewLink("http://example.test", &rpc.LinkOptions{
		Plugins:    []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Hour}},
		HTTPClient: roundTrip(func(*http.Request) (*http.Response, error) { panic("broken") }).client(),
	})
	inBatch := make(chan error, 2)
	for range 2 {
		go func() { inBatch <- errorOf(broken, "text", "in") }()
	}
	panics := value.NewFileFunc("f", "a/b", 1, func() (io.ReadCloser, error) { panic("disk") })
	used, nested := rpc.NewEvents(t.Context(), noEvents), rpc.NewEvents(t.Context(), noEvents)
	require.NoError(t, errorOf(answers("application/json", `{}`), "text", used))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, late := text.Call(ended, answers("application/json", `{}`), "in")
	_, otherAnswer := text.Call(t.Context(), answers("application/json", `{"json":1}`), "in")
	_, noStream := days.Call(t.Context(), answers("application/json", `{}`), rpc.Void{})
	_, noError := rpc.ErrorData[int](errors.New("other"))
	_, otherData := rpc.ErrorData[int](&rpc.Error{Data: "text"})
	_, badMeta := transport.AppendEventMeta(nil, rpc.EventMeta{ID: "\n"})
	requireOneName(t, map[string]error{
		"a bad address":                     errorOf(rpc.NewLink("ftp://host", nil), "text", "in"),
		"an ended context":                  late,
		"a nil option":                      errorOf(router, "text", "in", nil),
		"a bad idempotency key":             errorOf(router, "text", "in", rpc.WithIdempotencyKey(" ")),
		"an answer that cannot be read":     errorOf(answers("text/html", "<html>"), "text", "in"),
		"an answer of another type":         otherAnswer,
		"an answer that is no stream":       noStream,
		"a stream that is not expected":     errorOf(router, "days", nil),
		"an input that cannot be encoded":   errorOf(answers("", `{}`), "text", func() {}),
		"an input of another type":          errorOf(router, "text", 7),
		"a transport that panics":           <-inBatch,
		"a file that panics":                errorOf(answers("", `{}`), "text", panics),
		"a stream that was an input before": errorOf(answers("", `{}`), "text", used),
		"a stream in a value":               errorOf(answers("", `{}`), "text", []any{nested}),
		"metadata":                          rpc.EventMeta{ID: "\n"}.Validate(),
		"metadata for a transport":          badMeta,
		"data of another error":             noError,
		"data of another type":              otherData,
		"an input that is not encoded":      (&rpc.Call{Input: 7}).DecodeInput(t.Context(), new(int)),
	})
	require.NoError(t, nested.Close())
}

func TestErrorsOfStreamsNameThePackageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var kept *rpc.EventWriter[any]
		var sent error
		write := func(ctx context.Context, event rpc.Event[any]) *rpc.Events[any, rpc.Void] {
			return rpc.NewEvents(ctx, func(_ context.Context, w *rpc.EventWriter[any]) (rpc.Void, error) {
				kept, sent = w, w.SendEvent(event)
				return rpc.Void{}, sent
			})
		}
		_, badMeta := readAll(write(t.Context(), rpc.Event[any]{Meta: rpc.EventMeta{ID: "\n"}}))
		failures := map[string]error{"bad metadata, sent": sent, "bad metadata, received": badMeta}
		_, err := readAll(write(t.Context(), rpc.Event[any]{}))
		require.NoError(t, err)
		failures["an event after the handler"] = kept.Send(1)
		closed := write(t.Context(), rpc.Event[any]{})
		_, failures["a result before the end"] = closed.Result()
		require.NoError(t, closed.Close())
		_, failures["a result of a stream with none"] = closed.Result()
		ctx, cancel := context.WithCancel(t.Context())
		ended := write(ctx, rpc.Event[any]{})
		cancel()
		_, failures["an ended context"] = readAll(ended)
		requireOneName(t, failures)
	})
}

func TestErrorsOfSocketsNameThePackageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failures := map[string]error{}
		client, _ := newClient(t, transport.ClientPeerOptions{})
		failures["a bad answer"] = client.Receive([]byte("{"), false)
		lost := start(t.Context(), client, pingCall())
		synctest.Wait()
		client.Disconnect(errors.New("broken pipe"))
		failures["a lost socket"] = (<-lost).err
		client.Close(nil)
		failures["a closed socket"] = errorOf(client, "text", "in")

		failing := transport.NewClientPeer(&transport.ClientPeerOptions{
			Send: func(context.Context, []byte, bool) error { return errors.New("broken pipe") },
		})
		failures["a socket that cannot be written"] = errorOf(failing, "text", "in")
		failing.Close(nil)

		server, _ := newServer(t, transport.ServerPeerOptions{Handle: fixtureRouter().Serve})
		failures["a bad request"] = server.Receive([]byte("{"), false)
		_, failures["a bad request that is taken"] = server.Take([]byte("{"), false)

		peer, box, events := openNumbers(t)
		for range 1025 {
			receive(t, peer, `{"i":"1","t":3,"p":{"e":"message","d":{"json":1}}}`)
		}
		_, failures["too many unread events"] = readAll(events)
		box.take()
		for name, frame := range map[string]string{
			"an event of another type":        `{"i":"1","t":3,"p":{"e":"message","d":{"json":"x"}}}`,
			"an event that cannot be read":    `{"i":"1","t":3,"p":{"e":1}}`,
			"an event with a malformed value": `{"i":"1","t":3,"p":{"e":"message","d":{"json":1,"meta":7}}}`,
			"an error of another kind":        `{"i":"1","t":3,"p":{"e":"error","d":{"json":"oops"}}}`,
		} {
			peer, box, events = openNumbers(t)
			_ = peer.Receive([]byte(frame), false) // the stream fails
			_, failures[name] = readAll(events)
			box.take()
		}
		requireOneName(t, failures)
	})
}
