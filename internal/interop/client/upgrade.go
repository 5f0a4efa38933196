package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// upgradeChecks returns the checks of sockets that the server does not open. A program must
// not wait forever for any of them.
func upgradeChecks() []check {
	return []check{
		{name: "upgrade: a refused token ends the first call", run: func(t *T) {
			tok := badToken(t)
			err := dialBriefly(t, func(context.Context) (string, error) { return tok, nil })
			t.assertf(errors.Is(err, client.ErrRefused), "the error is client.ErrRefused: %v", err)
			t.refused(err, rpc.Error{Code: rpc.CodeUnauthorized, Status: 401})
		}},
		{name: "upgrade: the first call gets through once the token is good", run: func(t *T) {
			r := t.room()
			bad := badToken(t)
			tokens := make(chan string, 2)
			tokens <- bad
			tokens <- r.token(subscribeInput{})
			l := dial(t, func(ctx context.Context) (string, error) {
				select {
				case tok := <-tokens:
					return tok, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			})
			r.publish("m")
			l.expect("m")
			t.equal(len(l.lost()), 1)
		}},
		{name: "upgrade: a procedure that returns no token", run: func(t *T) {
			o := t.options()
			_, err := client.Subscribe(t, t.link(o), noIterator, rpc.Void{})
			t.assertf(errors.Is(err, client.ErrNoToken), "the error is client.ErrNoToken: %v", err)
		}},
		{name: "upgrade: no server", run: func(t *T) {
			p := t.proxy(t.chat)
			p.block()
			tok := t.room().token(subscribeInput{})
			err := dialBriefly(t, func(context.Context) (string, error) { return tok, nil }, p.through)
			t.assertf(errors.Is(err, context.DeadlineExceeded), "it stops: %v", err)
		}},
		{name: "upgrade: the server starts later", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			p.block()
			time.AfterFunc(200*time.Millisecond, p.mend)
			l := r.subscribe(subscribeInput{}, p.through)
			r.publish("m")
			l.expect("m")
		}},
		{name: "upgrade: an ended context", run: func(t *T) {
			p := t.proxy(t.chat)
			p.block()
			tok := t.room().token(subscribeInput{})
			ctx, cancel := context.WithTimeout(t, 100*time.Millisecond)
			defer cancel()
			o := t.options(p.through)
			_, err := client.Dial[event](ctx, client.StaticToken(tok), &o)
			t.assertf(errors.Is(err, context.DeadlineExceeded), "the error is that of the context: %v", err)
		}},
	}
}

// badToken returns a token with a wrong signature.
func badToken(t *T) string {
	tok := t.room().token(subscribeInput{})
	return tok[:strings.LastIndexByte(tok, '.')+1] + strings.Repeat("A", 43)
}

// dialBriefly opens an iterator with a short timeout and returns the error.
func dialBriefly(t *T, source client.TokenFunc, changes ...func(*client.Options)) error {
	o := t.options(changes...)
	o.ConnectTimeout = 2 * time.Second
	it, err := client.Dial[event](t, source, &o)
	if err == nil {
		_ = it.Close() // always returns nil
	}
	return err
}
