package node_test

import (
	"cmp"
	"context"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// The contracts of server.mjs.
var (
	ping        = rpc.Define[rpc.Void, string]("nested.ping")
	lastEventID = rpc.Define[rpc.Void, *string]("lastEventId")
	readable    = rpc.Define[native, got]("readable", rpc.WithMethod("GET"))
	sendMessage = rpc.Define[message, rpc.Void]("sendMessage")
	fail        = rpc.Define[kind, rpc.Void]("fail", errTeapot)
	unknown     = rpc.Define[rpc.Void, rpc.Void]("nothing.here")

	errTeapot = rpc.DefineError[kind]("TEAPOT", http.StatusTeapot, "I am a teapot")
)

type message struct {
	Message *string `json:"message,omitempty"`
}

type kind struct {
	Kind string `json:"kind"`
}

type got struct {
	Got native `json:"got"`
}

// native has values that JSON does not have, in their Go types.
type native struct {
	At     time.Time           `json:"at"`
	Big    *big.Int            `json:"big"`
	URL    *url.URL            `json:"url"`
	RegExp value.RegExp        `json:"regexp"`
	Set    map[string]struct{} `json:"set"`
	Map    map[int]time.Time   `json:"map"`
	List   []any               `json:"list"`
	Text   string              `json:"text"`
}

func newNative(t *testing.T) native {
	t.Helper()
	link, err := url.Parse("https://user@example.com:8443/a/b?c=d#e")
	require.NoError(t, err)
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	return native{
		At: time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), Big: huge, URL: link, RegExp: value.RegExp{Source: `^a\/b`, Flags: "giu"},
		Set: map[string]struct{}{"one": {}, "two": {}}, Map: map[int]time.Time{7: time.Unix(0, 0).UTC()},
		List: []any{value.Undefined{}, nil, 1.5, big.NewInt(2), []any{}},
		Text: "\"quoted\" \\ </script> & \u2028 \x00 世界 🙂",
	}
}

// testCalls makes the calls that are the same over HTTP and over a WebSocket.
func testCalls(t *testing.T, c rpc.Caller) {
	t.Helper()
	ctx := t.Context()
	t.Run("nested procedure", func(t *testing.T) {
		out, err := ping.Call(ctx, c, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, "pong", out)
	})
	t.Run("void", func(t *testing.T) {
		text := "m"
		_, err := sendMessage.Call(ctx, c, message{&text})
		require.NoError(t, err)
	})
	t.Run("values", func(t *testing.T) {
		echoes[any](t, c, nil)
		echoes[any](t, c, value.Undefined{})
		echoes[any](t, c, map[string]any{"a": []any{1.0, value.Undefined{}}, "": "x"})
		echoes(t, c, newNative(t))
		echoes(t, c, map[string]native{"in a member": newNative(t)})
		echoes(t, c, strings.Repeat("é", 1<<19))
		out, err := rpc.Define[float64, float64]("echo").Call(ctx, c, math.NaN())
		require.NoError(t, err)
		require.True(t, math.IsNaN(out))
	})
	t.Run("undefined members vanish", func(t *testing.T) {
		out, err := rpc.Define[map[string]any, any]("echo").Call(ctx, c, map[string]any{"a": value.Undefined{}, "b": true})
		require.NoError(t, err)
		require.Equal(t, map[string]any{"b": true}, out)
	})
	t.Run("last event id", func(t *testing.T) {
		out, err := lastEventID.Call(ctx, c, rpc.Void{}, rpc.WithLastEventID("event-7"))
		require.NoError(t, err)
		require.Equal(t, "event-7", *out)
		out, err = lastEventID.Call(ctx, c, rpc.Void{})
		require.NoError(t, err)
		require.Nil(t, out)
	})
	t.Run("200 at once", func(t *testing.T) {
		var calls sync.WaitGroup
		for i := range 200 {
			calls.Go(func() {
				out, err := rpc.Define[int, int]("echo").Call(ctx, c, i)
				if err != nil || out != i {
					t.Errorf("call %d: %d, %v", i, out, err)
				}
			})
		}
		calls.Wait()
	})
	t.Run("cancelled", func(t *testing.T) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := ping.Call(ended, c, rpc.Void{})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("errors", func(t *testing.T) { testErrors(t, c) })
	t.Run("events", func(t *testing.T) { testEvents(t, c) })
	t.Run("files", func(t *testing.T) { testFiles(t, c) })
	t.Run("inputs", func(t *testing.T) { testInputs(t, c) })
}

// echoes sends a value and expects it back.
func echoes[T any](t *testing.T, c rpc.Caller, given T) {
	t.Helper()
	out, err := rpc.Define[T, T]("echo").Call(t.Context(), c, given)
	require.NoError(t, err)
	require.Equal(t, given, out)
}

func testErrors(t *testing.T, c rpc.Caller) {
	t.Helper()
	ctx := t.Context()
	failure := func(t *testing.T, name string) *rpc.Error {
		t.Helper()
		_, err := fail.Call(ctx, c, kind{name})
		var sent *rpc.Error
		require.ErrorAs(t, err, &sent)
		return sent
	}
	t.Run("validation", func(t *testing.T) {
		_, err := sendMessage.Call(ctx, c, message{})
		var sent *rpc.Error
		require.ErrorAs(t, err, &sent)
		require.Equal(t, 400, sent.Status)
		require.Equal(t, rpc.CodeBadRequest, sent.Code)
		require.Equal(t, "Input validation failed", sent.Message)
		data, err := rpc.ErrorData[rpc.ValidationIssues](err)
		require.NoError(t, err)
		require.Equal(t, []rpc.Issue{{Message: "message is wrong", Path: []any{"message"}}}, data.Issues)
	})
	t.Run("declared", func(t *testing.T) {
		err := failure(t, "defined")
		require.True(t, err.Defined)
		require.Equal(t, "I am a teapot", err.Message)
		data, ok := errTeapot.As(err)
		require.True(t, ok)
		require.Equal(t, kind{"green"}, data)
	})
	t.Run("data with natives", func(t *testing.T) {
		err := failure(t, "orpc")
		require.Equal(t, rpc.CodeConflict, err.Code)
		require.Equal(t, 409, err.Status)
		require.False(t, err.Defined)
		data, readErr := rpc.ErrorData[struct {
			ID *big.Int  `json:"id"`
			At time.Time `json:"at"`
		}](err)
		require.NoError(t, readErr)
		require.Equal(t, "7", data.ID.String())
		require.Equal(t, time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), data.At)
	})
	t.Run("own code", func(t *testing.T) {
		err := failure(t, "custom")
		require.Equal(t, rpc.Code("MY_OWN_CODE"), err.Code)
		require.Equal(t, 460, err.Status)
		data, readErr := rpc.ErrorData[[]int](err)
		require.NoError(t, readErr)
		require.Equal(t, []int{1, 2}, data)
	})
	t.Run("hidden", func(t *testing.T) {
		err := failure(t, "plain")
		require.Equal(t, rpc.CodeInternalServerError, err.Code)
		require.Equal(t, "Internal server error", err.Message)
	})
	t.Run("unknown procedure", func(t *testing.T) {
		_, err := unknown.Call(ctx, c, rpc.Void{})
		require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
		data, err := rpc.ErrorData[rpc.ErrorResponse](err)
		require.NoError(t, err)
		require.Equal(t, 404, data.Status)
	})
	t.Run("retry", func(t *testing.T) {
		tries := 0
		_, err := fail.Call(ctx, c, kind{"custom"}, rpc.Retry{Max: 2, If: func(error) bool { return true }, Delay: func(attempt int, _ error) time.Duration {
			tries = attempt
			return time.Millisecond
		}})
		require.Equal(t, rpc.Code("MY_OWN_CODE"), rpc.CodeOf(err))
		require.Equal(t, 2, tries)
	})
}

func testLink(t *testing.T, address string) {
	t.Helper()
	methods := &methodRecorder{}
	link := rpc.NewLink(address, &rpc.LinkOptions{HTTPClient: &http.Client{Transport: methods}})
	testCalls(t, link)
	t.Run("GET", func(t *testing.T) {
		input := newNative(t)
		out, err := readable.Call(t.Context(), link, input)
		require.NoError(t, err)
		require.Equal(t, input, out.Got)
		require.Equal(t, http.MethodGet, methods.last)

		input.Text = strings.Repeat("x", 3000)
		out, err = readable.Call(t.Context(), link, input)
		require.NoError(t, err)
		require.Equal(t, input, out.Got)
		require.Equal(t, http.MethodPost, methods.last)
	})
	t.Run("GET refused", func(t *testing.T) {
		_, err := rpc.Define[rpc.Void, string]("nested.ping", rpc.WithMethod("GET")).Call(t.Context(), link, rpc.Void{})
		require.Equal(t, rpc.CodeMethodNotSupported, rpc.CodeOf(err))
	})
}

// methodRecorder remembers the method of the last request.
type methodRecorder struct {
	mu   sync.Mutex // guards last
	last string
}

func (m *methodRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.last = cmp.Or(r.Method, http.MethodGet)
	m.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

func testWebsocketLink(t *testing.T, address string) {
	t.Helper()
	link, err := websocket.Dial(t.Context(), address, nil)
	require.NoError(t, err)
	testCalls(t, link)
	t.Run("procedure declared with GET", func(t *testing.T) {
		input := newNative(t)
		out, err := readable.Call(t.Context(), link, input)
		require.NoError(t, err)
		require.Equal(t, input, out.Got)
	})
	t.Run("close", func(t *testing.T) {
		require.NoError(t, link.Close())
		require.NoError(t, link.Err())
		_, err := ping.Call(t.Context(), link, rpc.Void{})
		require.ErrorIs(t, err, rpc.ErrDisconnected)
	})
	t.Run("no such address", func(t *testing.T) {
		_, err := websocket.Dial(t.Context(), address+"/nowhere", nil)
		require.Error(t, err)
	})
}
