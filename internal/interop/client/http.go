package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// httpChecks returns the checks of procedures called over HTTP.
func httpChecks() []check {
	checks := []check{
		{name: "http: nested procedure", run: func(t *T) {
			pong, err := ping.Call(t, t.link(client.Options{}), rpc.Void{})
			t.ok(err)
			t.equal(pong, "pong")
		}},
		{name: "http: undefined", run: func(t *T) {
			out, err := echo.Call(t, t.link(client.Options{}), value.Undefined{})
			t.ok(err)
			t.equal(out, value.Undefined{})
		}},
		{name: "http: undefined members vanish", run: func(t *T) {
			out, err := echo.Call(t, t.link(client.Options{}), map[string]any{"a": value.Undefined{}, "b": 1.0})
			t.ok(err)
			t.equal(out, map[string]any{"b": 1.0})
		}},
		{name: "http: natives in Go types", run: func(t *T) { checkTyped(t, t.link(client.Options{}), echoTyped) }},
		{name: "http: no output", run: func(t *T) {
			_, err := sendMessage.Call(t, t.link(client.Options{}), publishInput{Message: "nobody listens", Room: newRoom()})
			t.ok(err)
		}},
		{name: "http: 100 calls at once", run: func(t *T) { checkMany(t, t.link(client.Options{}), echo, 100) }},
		{name: "http: GET", run: checkGET},
		{name: "http: GET becomes POST if it is long", run: checkLongGET},
		{name: "http: GET of what is not declared is refused", run: checkRefusedGET},
		{name: "http: last event id", run: func(t *T) {
			link := t.link(client.Options{})
			id, err := lastEventID.Call(t, link, rpc.Void{}, rpc.WithLastEventID("event-7"))
			t.ok(err)
			t.assertf(id != nil && *id == "event-7", "the last event id has arrived")
			id, err = lastEventID.Call(t, link, rpc.Void{})
			t.ok(err)
			t.assertf(id == nil, "there is no last event id")
		}},
		{name: "http: an ended context", run: func(t *T) {
			link := t.link(client.Options{})
			ctx, cancel := context.WithCancel(t)
			cancel()
			_, err := ping.Call(ctx, link, rpc.Void{})
			t.assertf(errors.Is(err, context.Canceled), "the error is that of the context: %v", err)
			_, err = ping.Call(t, link, rpc.Void{})
			t.ok(err)
		}},
	}
	for _, s := range samples() {
		checks = append(checks, check{name: "http: echo: " + s.name, run: func(t *T) {
			out, err := echo.Call(t, t.link(client.Options{}), s.value)
			t.ok(err)
			t.equal(out, s.value)
		}})
	}
	return checks
}

// checkTyped sends values that JSON does not have from and to Go types.
func checkTyped(t *T, on rpc.Caller, procedure rpc.Procedure[typed, typed]) {
	in := typed{
		At:    time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC),
		Big:   new(big.Int).Lsh(big.NewInt(-3), 100),
		URL:   &url.URL{Scheme: "https", Host: "example.com", Path: "/é"},
		Words: map[string]struct{}{"one": {}, "two": {}},
		Names: map[int]string{7: "seven", -1: "minus one"},
	}
	out, err := procedure.Call(t, on, in)
	t.ok(err)
	t.equal(out, in)
}

// checkMany makes many calls at the same time, each of which must receive its own answer.
func checkMany(t *T, on rpc.Caller, procedure rpc.Procedure[any, any], n int) {
	errs := make([]error, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			in := map[string]any{"i": float64(i), "big": big.NewInt(int64(i))}
			out, err := procedure.Call(t, on, in)
			if err == nil && describe(out) != describe(in) {
				err = fmt.Errorf("call %d was answered with %s", i, describe(out))
			}
			errs[i] = err
		})
	}
	calls.Wait()
	t.ok(errors.Join(errs...))
}

// methods returns a link and the methods of the requests that it makes.
func (t *T) methods() (link *rpc.Link, seen *[]string) {
	seen = new([]string)
	hc := t.httpClient()
	transport := hc.Transport
	hc.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		*seen = append(*seen, r.Method)
		return transport.RoundTrip(r)
	})
	return rpc.NewLink(t.rpc, &rpc.LinkOptions{HTTPClient: hc}), seen
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func checkGET(t *T) {
	link, methods := t.methods()
	in := map[string]any{"text": "a&b=c + é", "at": time.Unix(0, 0), "ids": value.Set{big.NewInt(1)}}
	out, err := readable.Call(t, link, in)
	t.ok(err)
	t.equal(out.Got, in)
	out, err = readable.Call(t, link, nil)
	t.ok(err)
	t.equal(out.Got, nil)
	t.equal(*methods, []string{"GET", "GET"})
}

func checkLongGET(t *T) {
	link, methods := t.methods()
	in := strings.Repeat("x", 3000)
	out, err := readable.Call(t, link, in)
	t.ok(err)
	t.equal(out.Got, in)
	t.equal(*methods, []string{"POST"})
}

func checkRefusedGET(t *T) {
	undeclared := rpc.Define[rpc.Void, string](ping.Path(), rpc.WithMethod("GET"))
	_, err := undeclared.Call(t, t.link(client.Options{}), rpc.Void{})
	t.refused(err, rpc.Error{Code: rpc.CodeMethodNotSupported, Status: 405})
}
