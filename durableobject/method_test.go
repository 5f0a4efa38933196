package durableobject_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

type payload = token.Payload

func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func TestMethods(t *testing.T) {
	const internal = `{"json":{"defined":false,"code":"INTERNAL_SERVER_ERROR","status":500,"message":"Internal server error"}}`
	for name, test := range map[string]struct{ input, want string }{
		"answer (DI-104)":    {`{"path":["tell"],"input":{"text":"x"}}`, `{"b":{"json":"told x"}}`},
		"void answer":        {`{"path":["say"],"input":{"text":"x"}}`, `{"b":{}}`},
		"not allowed":        {`{"path":["other"],"input":1}`, `{"s":403,"b":{"json":{"defined":false,"code":"FORBIDDEN","status":403,"message":"Method \"other\" is not allowed."}}}`},
		"group as a method":  {`{"path":["toolbox"],"input":1}`, `{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"toolbox\""}}}`},
		"unknown nested":     {`{"path":["toolbox","constructor"],"input":1}`, `{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"toolbox.constructor\""}}}`},
		"allowed, not there": {`{"path":["missing"],"input":1}`, `{"s":404,"b":{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"no procedure \"missing\""}}}`},
		"error with a code":  {`{"path":["fail"],"input":"conflict"}`, `{"s":409,"b":{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"already there"}}}`},
		"hidden error":       {`{"path":["fail"],"input":"plain"}`, `{"s":500,"b":` + internal + `}`},
		"panic":              {`{"path":["fail"],"input":"panic"}`, `{"s":500,"b":` + internal + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
				c := f.connect("a")
				c.send(`{"i":"1","p":{"u":"/call","b":{"json":` + test.input + `}}}`)
				require.JSONEq(t, `{"i":"1","p":`+test.want+`}`, c.next())
				c.subscribe()
				f.publish("the socket lives on")
				c.sees("the socket lives on")
			})
		})
	}
}

func TestBadRequests(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		for _, frame := range []string{
			`{"i":"1","p":{"u":"/call","b":{"json":{"path":[]}}}}`,
			`{"i":"1","p":{"u":"/call","b":{"json":{"path":"say"}}}}`,
			`{"i":"1","p":{"u":"/call","b":{}}}`,
			`{"i":"1","p":{"u":"/call","b":{"json":{"path":["say"],"input":{"text":1}}}}}`,
			`{"i":"1","p":{"u":"/call","b":{"json":{"path":["say"],"input":{}},"meta":[[1,"input","__proto__"]]}}}`,
			`{"i":"1","p":{"u":"/updateToken","b":{"json":{"token":1}}}}`,
		} {
			c.send(frame)
			require.Contains(t, c.next(), `"code":"BAD_REQUEST"`, frame)
		}
		c.send(`{"i":"1","p":{"u":"/nothing","b":{}}}`)
		require.JSONEq(t, `{"i":"1","p":{"s":404,"b":"No procedure matched"}}`, c.next())
		c.send(`garbage`)
		c.send(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"x"}}}}}`)
		require.Contains(t, c.next(), "told x")
	})
}

// An event that a method publishes reaches the caller before the answer does.
func TestEventBeforeAnswer(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		c, other := f.connect("a"), f.connect("b")
		c.subscribe()
		other.subscribe()
		for i := range 200 {
			c.send(fmt.Sprintf(`{"i":"c%d","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"%d"}}}}}`, i, i))
			c.sees(fmt.Sprint(i))
			require.Contains(t, c.next(), fmt.Sprintf(`"told %d"`, i))
			other.sees(fmt.Sprint(i))
		}
		c.send(`{"i":"x","p":{"u":"/call","b":{"json":{"path":["say"],"input":{"text":"to the others"}}}}}`)
		require.JSONEq(t, `{"i":"x","p":{"b":{}}}`, c.next())
		other.sees("to the others")
		c.seesNothing()
	})
}

func TestCallEnds(t *testing.T) {
	for name, end := range map[string]func(c *rawClient){
		"with an abort":          func(c *rawClient) { c.send(`{"i":"1","t":4}`) },
		"with its socket DI-108": func(c *rawClient) { c.drop() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{Interceptors: []rpc.Interceptor{}}, func(_ *testing.T, f *fixture) {
				c := f.connect("a")
				c.send(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]}}}}`)
				synctest.Wait()
				end(c)
				c.seesNothing()
			})
		})
	}
}

// DI-109: the interceptors run once for each request, and see its path and its socket.
func TestInterceptors(t *testing.T) {
	var seen []string
	o := durableobject.Options{Interceptors: []rpc.Interceptor{
		func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			path := strings.Join(call.Path, ".")
			out, err := next(ctx, call)
			seen = append(seen, fmt.Sprint(path, " ", rpc.CodeOf(err)))
			return out, err
		},
	}}
	bubble(t, o, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		for _, call := range []string{
			`/call","b":{"json":{"path":["fail"],"input":"conflict"}}`,
			`/call","b":{"json":{"path":["nope"]}}`,
			`/call","b":{"json":{}}`,
			`/updateToken","b":{"json":{"token":"x"}}`,
		} {
			c.send(`{"i":"2","p":{"u":"` + call + `}}`)
			c.next()
		}
		require.Equal(t, []string{
			"subscribe ", "call.fail CONFLICT", "call.nope FORBIDDEN", "call BAD_REQUEST", "updateToken UNAUTHORIZED",
		}, seen)
	})
}

func TestUpdateToken(t *testing.T) {
	update := func(c *rawClient, tok string) string {
		c.send(`{"i":"u","p":{"u":"/updateToken","b":{"json":{"token":` + quote(tok) + `}}}}`)
		return c.next()
	}
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a", withTags("x"), withLife(time.Minute))
		require.Contains(t, update(c, "garbage"), `"message":"Invalid Token"`)
		require.Contains(t, update(c, sign(t, "elsewhere", withTags("x"))), "same channel")
		require.Contains(t, update(c, sign(t, "room", withTags("x", "y"))), "exact same tags")
		require.Contains(t, update(c, sign(t, "room")), "exact same tags")
		require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, update(c, sign(t, "room", withTags("x"), withLife(time.Hour), withAtt(`"new"`))))
		for ws := range f.room("room").Websockets() {
			require.JSONEq(t, `"new"`, string(ws.Token().Att))
		}
		start := time.Now()
		require.Equal(t, 1008, int((<-c.closed).Code))
		require.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
	})
}
