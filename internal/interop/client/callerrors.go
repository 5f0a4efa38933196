package main

import (
	"slices"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// callErrorChecks returns the checks of errors of methods.
func callErrorChecks() []check {
	checks := []check{
		{name: "call: validation error with issues", run: onRoom(func(t *T, l *listener) {
			for _, in := range []any{map[string]any{}, map[string]any{"text": 1.0}, nil, value.Undefined{}} {
				_, err := routerEcho.Call(t, l, in)
				t.invalid(err)
			}
		})},
		{name: "call: not allowed", run: onRoom(func(t *T, l *listener) {
			for _, name := range []string{"hiddenClient", "nothing", "publishEvent", "constructor", "__proto__"} {
				_, err := rpc.Define[any, any](name).Call(t, l, nil)
				t.forbidden(err)
			}
		})},
		{name: "call: only what the token allows", run: func(t *T) {
			l := t.room().subscribe(subscribeInput{RPC: []string{"hiddenClient"}})
			_, err := hiddenClient.Call(t, l, rpc.Void{})
			t.ok(err)
			_, err = routerPing.Call(t, l, nil)
			t.forbidden(err)
			l = t.room().subscribe(subscribeInput{RPC: []string{}})
			_, err = routerPing.Call(t, l, nil)
			t.forbidden(err)
		}},
		{name: "call: unknown paths", run: onRoom(func(t *T, l *listener) {
			for _, path := range []string{
				"toolbox", "toolbox.nothing", "toolbox.constructor", "toolbox.echo.more", "routerClient.__proto__.toString",
			} {
				_, err := rpc.Define[any, any](path).Call(t, l, nil)
				// The original answers with an internal error.
				t.assertf(slices.Contains([]int{404, 500}, t.sent(err).Status), "%s is not found: %v", path, err)
			}
			pong, err := routerPing.Call(t, l, nil)
			t.ok(err)
			t.equal(pong, "pong")
		})},
	}
	return append(checks, failChecks("call: ", false, func(t *T) (rpc.Procedure[failInput, rpc.Void], rpc.Caller) {
		return toolboxFail, t.room().subscribe(subscribeInput{})
	})...)
}

// forbidden ends the check unless err means that the token does not allow the call.
func (t *T) forbidden(err error) { t.refused(err, rpc.Error{Code: rpc.CodeForbidden, Status: 403}) }
