package rpc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// session is a recorded session. Only its frames are used.
type session struct {
	Entries []sessionEntry
}

type sessionEntry struct {
	Kind, Dir, Type, Text, Base64 string
	Conn                          int
}

// data returns the content of a frame.
func (e sessionEntry) data(t *testing.T) string {
	t.Helper()
	if e.Type == "text" {
		return e.Text
	}
	data, err := base64.StdEncoding.DecodeString(e.Base64)
	require.NoError(t, err)
	return string(data)
}

// recordedRoom has the methods of the recorded server that need no streams, under "call" as
// in a durable object.
func recordedRoom() rpc.CallFunc {
	type text struct {
		Text string `json:"text"`
	}
	type dated struct {
		File *value.File `json:"file"`
		When time.Time   `json:"when"`
	}
	type me struct {
		ID  string            `json:"id"`
		Chn string            `json:"chn"`
		Att map[string]string `json:"att"`
		RPC []string          `json:"rpc"`
	}
	methods := rpc.NewRouter(
		rpc.Define[messageInput, rpc.Void]("singleClient").Handler(func(context.Context, messageInput) (rpc.Void, error) { return rpc.Void{}, nil }),
		rpc.Define[any, string]("routerClient.ping").Handler(func(context.Context, any) (string, error) { return "pong", nil }),
		rpc.Define[text, string]("routerClient.echo").Handler(func(_ context.Context, in text) (string, error) { return "Echo: " + in.Text, nil }),
		rpc.Define[value.Value, value.Value]("toolbox.echo").Handler(func(_ context.Context, in value.Value) (value.Value, error) { return in, nil }),
		rpc.Define[failInput, any]("toolbox.fail").Handler(func(_ context.Context, in failInput) (any, error) { return nil, failure(in.Kind) }),
		rpc.Define[uploadInput, uploadOutput]("toolbox.upload").Handler(describe),
		rpc.Define[any, dated]("toolbox.download").Handler(func(context.Context, any) (dated, error) {
			return dated{hello(), time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)}, nil
		}),
		rpc.Define[any, *value.File]("toolbox.rawFile").Handler(func(context.Context, any) (*value.File, error) { return raw(), nil }),
		rpc.Define[any, me]("toolbox.whoami").Handler(func(context.Context, any) (me, error) {
			return me{"client-a", "room-rpc", map[string]string{"userId": "user-123"}, []string{"singleClient", "routerClient", "toolbox"}}, nil
		}),
	)
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		switch call.Path[0] {
		case "subscribe":
			return transport.Hibernation{Start: func(context.Context, json.RawMessage, func()) {}}, nil
		case "call":
			var in struct {
				Path  []string    `json:"path"`
				Input value.Value `json:"input"`
			}
			if err := call.Input.(value.Value).Decode(&in); err != nil {
				return nil, err
			}
			call.Path, call.Input = in.Path, in.Input
			return methods.Serve(ctx, call)
		}
		return nil, rpc.ErrNoProcedure
	}
}

// replay feeds the frames that the clients of a session have sent on one connection,
// and returns recorded and actual answers by id.
func replay(t *testing.T, s session, conn int) (recorded, actual map[string]string) {
	t.Helper()
	p, box := newServer(t, transport.ServerPeerOptions{Handle: recordedRoom()})
	recorded, actual = map[string]string{}, map[string]string{}
	for _, e := range s.Entries {
		switch {
		case e.Kind != "ws-frame" || e.Conn != conn:
		case e.Dir == "s2c" && e.Type != "close":
			recorded[idOf(t, e.data(t))] = e.data(t)
		case e.Dir == "c2s" && e.Type != "close":
			_ = p.Receive([]byte(e.data(t)), e.Type == "binary") // garbage returns an error
		}
		for _, answer := range box.take() {
			actual[idOf(t, answer)] = answer
		}
	}
	return recorded, actual
}

func idOf(t *testing.T, frame string) string {
	t.Helper()
	var m struct {
		I string `json:"i"`
	}
	text, _, _ := strings.Cut(frame, "\xff")
	require.NoError(t, json.Unmarshal([]byte(text), &m), "%s", frame)
	return m.I
}

// comparableAnswer decodes a frame, or removes the random parts of one with a form. Of the
// issues of a validator only the paths are kept.
func comparableAnswer(t *testing.T, frame string) any {
	t.Helper()
	if _, text, binary := strings.Cut(frame, "\xff"); binary {
		boundary, _, _ := strings.Cut(strings.TrimPrefix(text, "--"), "\r\n")
		require.NotEmpty(t, boundary)
		return strings.TrimSuffix(strings.ReplaceAll(frame, boundary, "boundary"), "\r\n")
	}
	var v struct {
		I string         `json:"i"`
		P map[string]any `json:"p"`
	}
	require.NoError(t, json.Unmarshal([]byte(frame), &v), "%s", frame)
	body, _ := v.P["b"].(map[string]any)
	output, _ := body["json"].(map[string]any)
	data, _ := output["data"].(map[string]any)
	issues, _ := data["issues"].([]any)
	for i := range issues {
		issues[i] = issues[i].(map[string]any)["path"]
	}
	return v
}

func TestRecordedCalls(t *testing.T) {
	t.Parallel()
	const unknownPath = "an unknown path is NOT_FOUND instead of an internal error"
	intended := map[string]struct{ reason, answer string }{
		"4": {"an absent input is undefined", `{"i":"4","p":{"b":{"json":"pong"}}}`},
		"8": {unknownPath, `{"i":"8","p":{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"toolbox.nope\""}}}}`},
		"9": {unknownPath, `{"i":"9","p":{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"toolbox.echo.deeper\""}}}}`},
		"a": {unknownPath, `{"i":"a","p":{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"toolbox\""}}}}`},
		"b": {unknownPath, `{"i":"b","p":{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"routerClient.constructor\""}}}}`},
	}
	var s session
	vectors(t, "session-rpc.json", &s)
	synctest.Test(t, func(t *testing.T) {
		recorded, actual := replay(t, s, 1)
		require.Len(t, recorded, 24)
		for id, want := range recorded {
			if d, ok := intended[id]; ok {
				want = d.answer
			}
			require.Equal(t, comparableAnswer(t, want), comparableAnswer(t, actual[id]), "request %s", id)
		}
	})
}

func TestRecordedGarbage(t *testing.T) {
	t.Parallel()
	// The original leaves the callers of these waiting forever.
	answered := map[int]string{4: "no payload", 5: "relative address", 9: "broken form"}
	var s session
	vectors(t, "session-garbage.json", &s)
	for conn := 1; conn <= 9; conn++ {
		synctest.Test(t, func(t *testing.T) {
			recorded, actual := replay(t, s, conn)
			if _, differs := answered[conn]; differs {
				recorded["1"] = `{"i":"1","p":{` + malformed + `}}`
			}
			require.NotEmpty(t, recorded["9"], "the good call")
			require.Equal(t, recorded, actual)
		})
	}
}
