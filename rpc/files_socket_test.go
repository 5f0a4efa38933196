//go:build !js

package rpc_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// formFrame makes a message of a form with the boundary x.
func formFrame(payload, form string) []byte {
	return []byte(`{"i":"1","p":{` + payload + `"h":{"content-type":"` + boundX + `"}}}` + "\xff" + form)
}

const (
	helloForm = "--boundary\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n" + `{"json":{"file":{}},"maps":[["file"]]}` +
		"\r\n--boundary\r\nContent-Disposition: form-data; name=\"0\"; filename=\"hello.txt\"\r\nContent-Type: text/plain\r\n\r\nhello file\r\n--boundary--"
	helloHeader = `"h":{"content-type":"multipart/form-data; boundary=boundary"`
)

// PE-010: a request with files is a binary frame whose text is followed by a form.
func TestClientPeerSendsFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, box := newClient(t, transport.ClientPeerOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start(ctx, p, &rpc.Call{Path: []string{"echo"}, Input: downloadOutput{hello()}},
			rpc.WithHeader("Content-Type", "text/event-stream"), rpc.WithHeader("Content-Disposition", "inline"), rpc.WithHeader("X-Own", "1"))
		sent := box.take()
		require.Len(t, sent, 1)
		require.Equal(t, `{"i":"1","p":{"u":"/echo",`+helloHeader+`,"x-own":"1"}}}`+"\xff"+helloForm, comparableAnswer(t, sent[0]))
	})
}

// PE-042: so is a response with files.
func TestServerPeerAnswersWithFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ request, answer string }{
		"output": {`{"i":"1","p":{"u":"/download"}}`, `{"i":"1","p":{` + helloHeader + `}}}` + "\xff" + helloForm},
		"error": {`{"i":"1","p":{"u":"/refuse"}}`, `{"i":"1","p":{"s":409,` + helloHeader + `}}}` + "\xff" + strings.Replace(helloForm,
			`{"json":{"file":{}},"maps":[["file"]]}`,
			`{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"m","data":{}},"maps":[["data"]]}`, 1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: func(_ context.Context, call *rpc.Call) (any, error) {
					call.ResponseHeader.Set("Content-Disposition", "inline")
					if call.Path[0] == "refuse" {
						return nil, &rpc.Error{Code: rpc.CodeConflict, Message: "m", Data: hello()}
					}
					return downloadOutput{hello()}, nil
				}})
				receive(t, p, test.request)
				sent := box.take()
				require.Len(t, sent, 1)
				require.Equal(t, test.answer, comparableAnswer(t, sent[0]))
			})
		})
	}
}

// PE-035: a form is an input; a form that does not hold a value is malformed.
func TestServerPeerReadsForms(t *testing.T) {
	t.Parallel()
	const answered = `{"i":"1","p":{"b":{"json":{"name":"a","type":"text/plain","size":1,"text":"c"}}}}`
	data, file := part(`"data"`, `{"json":{"file":{}},"maps":[["file"]]}`), part(`"0"; filename="a"`, "c")
	tests := map[string]struct{ form, answer string }{
		"form":              {data + file + "--x--", answered},
		"in another order":  {file + data + "--x--", answered},
		"cut off":           {data + file, `{"i":"1","p":{` + malformed + `}}`},
		"a file is missing": {data + "--x--", `{"i":"1","p":{` + malformed + `}}`},
		"no data":           {file + "--x--", `{"i":"1","p":{` + malformed + `}}`},
		"data is no JSON":   {part(`"data"`, "{") + "--x--", `{"i":"1","p":{` + malformed + `}}`},
		"another boundary":  {strings.ReplaceAll(data+file+"--x--", "--x", "--y"), `{"i":"1","p":{` + malformed + `}}`},
		"nothing":           {"", `{"i":"1","p":{` + malformed + `}}`},
		"too many parts":    {data + strings.Repeat(file, 1000) + "--x--", `{"i":"1","p":{"s":413,"b":{"json":{"defined":false,"code":"PAYLOAD_TOO_LARGE","status":413,"message":"Payload Too Large"}}}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, box := newServer(t, transport.ServerPeerOptions{Handle: routed(fixtureRouter())})
				_ = p.Receive(formFrame(`"u":"/upload",`, test.form), true) // the answer says it too
				require.Equal(t, []string{test.answer}, box.take())
			})
		})
	}
}

// PE-018: a form is an output, or an error.
func TestClientPeerReadsForms(t *testing.T) {
	t.Parallel()
	file := part(`"0"; filename="a"`, "c")
	const refused = `{"json":{"defined":true,"code":"CONFLICT","status":409,"message":"m","data":{}},"maps":[["data"]]}`
	tests := map[string]struct {
		status, form string
		check        func(t *testing.T, out any, err error)
	}{
		"output": {"", part(`"data"`, `{"json":{},"maps":[[]]}`) + file + "--x--", func(t *testing.T, out any, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, shown{"a", "text/plain", "c"}, show(t, out.(*value.File)))
		}},
		"error": {`"s":409,`, part(`"data"`, refused) + file + "--x--", func(t *testing.T, _ any, err error) {
			t.Helper()
			require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
			f, err := rpc.ErrorData[*value.File](err)
			require.NoError(t, err)
			require.Equal(t, shown{"a", "text/plain", "c"}, show(t, f))
		}},
		"no RPC error": {`"s":502,`, part(`"data"`, `{"json":{},"maps":[[]]}`) + file + "--x--", func(t *testing.T, _ any, err error) {
			t.Helper()
			require.Equal(t, rpc.CodeBadGateway, rpc.CodeOf(err))
		}},
		"a file is missing": {"", part(`"data"`, `{"json":{},"maps":[[]]}`) + "--x--", isLocal},
		"cut off":           {`"s":409,`, part(`"data"`, refused) + file, isLocal},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := newClient(t, transport.ClientPeerOptions{})
				done := start(t.Context(), p, &rpc.Call{Path: []string{"f"}, New: func() any { return new(any) }})
				synctest.Wait()
				require.NoError(t, p.Receive(formFrame(test.status, test.form), true))
				o := <-done
				test.check(t, o.out, o.err)
			})
		})
	}
}

func isLocal(t *testing.T, _ any, err error) {
	t.Helper()
	require.ErrorContains(t, err, "rpc: call f: ")
	var sent *rpc.Error
	require.NotErrorAs(t, err, &sent)
}

// A message is limited with its files, on either side.
func TestWebsocketLimitsFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		size int
		want func(t *testing.T, link *websocket.Link)
	}{
		"too large for the server": {210 << 10, func(t *testing.T, link *websocket.Link) {
			t.Helper()
			require.Equal(t, coder.StatusMessageTooBig, coder.CloseStatus(link.Err()))
		}},
		"too large for the client": {110 << 10, func(t *testing.T, link *websocket.Link) {
			t.Helper()
			require.ErrorIs(t, link.Err(), coder.ErrMessageTooBig)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := hostRouter(t, fixtureRouter(), &websocket.HandlerOptions{MaxMessageBytes: 200 << 10})
				link := dial(t, client, websocket.LinkOptions{MaxMessageBytes: 100 << 10})
				out, err := echo.Call(t.Context(), link, lazyFile("a", strings.Repeat("x", 90<<10)))
				require.NoError(t, err)
				require.Equal(t, int64(90<<10), out.(*value.File).Size())

				_, err = echo.Call(t.Context(), link, lazyFile("a", strings.Repeat("x", test.size)))
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				<-link.Done()
				test.want(t, link)
			})
		})
	}
}
