//go:build js

// Program wasm is a client compiled for browsers. Its argument is a config as JSON. It
// prints the events of its iterator, one per line, until the iterator ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall/js"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// config configures the program. The tests have the same type.
type config struct {
	Socket, Token string            // addresses
	Place         client.TokenPlace // of the token
	Ping          time.Duration     // PingInterval
}

var ping = rpc.Define[rpc.Void, string]("ping")

func main() {
	if err := run(); err != nil {
		fmt.Println("error", oneLine(err))
	}
	fmt.Println("end")
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

func run() error {
	var c config
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		return err
	}
	ctx := context.Background()
	it, err := client.Dial[int](ctx, client.TokenFunc(func(context.Context) (string, error) { return fetch(c.Token) }), &client.Options{
		URL: c.Socket, TokenPlace: c.Place, PingInterval: c.Ping,
		Backoff: func(int) time.Duration { return 50 * time.Millisecond },
		OnStateChange: func(s client.State, err error) {
			if err != nil {
				fmt.Println("state", s, oneLine(err))
				return
			}
			fmt.Println("state", s)
		},
	})
	if err != nil {
		return err
	}
	pong, err := ping.Call(ctx, it, rpc.Void{})
	if err != nil {
		return err
	}
	fmt.Println(pong)
	for event, err := range it.Events() {
		switch {
		case errors.Is(err, client.ErrGap):
			fmt.Println("gap", oneLine(err))
		case err != nil:
			return err
		case event.Data < 0:
			return it.Close()
		default:
			fmt.Println("event", event.Data)
		}
	}
	return it.Close()
}

// fetch returns the body of a response. It uses the fetch of the browser, since net/http
// does not work under Node.
func fetch(address string) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	var funcs []js.Func
	on := func(fn func(v js.Value) any) js.Func {
		f := js.FuncOf(func(_ js.Value, args []js.Value) any { return fn(args[0]) })
		funcs = append(funcs, f)
		return f
	}
	body := on(func(response js.Value) any { return response.Call("text") })
	text := on(func(text js.Value) any { done <- result{text: text.String()}; return nil })
	failed := on(func(js.Value) any { done <- result{err: fmt.Errorf("no token")}; return nil })
	js.Global().Call("fetch", address).Call("then", body).Call("then", text).Call("catch", failed)
	r := <-done
	for _, f := range funcs {
		f.Release()
	}
	return r.text, r.err
}
