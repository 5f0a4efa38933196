package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// tokenChecks returns the checks of tokens that are replaced, expire, or are refused.
func tokenChecks() []check {
	return []check{
		{name: "token: the token for an input", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{Tags: []string{"a"}, Att: attachment{Role: "admin"}, RPC: []string{"toolbox"}, TTL: 60})
			p := l.Token()
			t.equal(p.Channel, r.name)
			t.equal(p.Tags, []string{"a"})
			t.equal(p.RPC, []string{"toolbox"})
			t.equal(p.ExpiresAt.Sub(p.IssuedAt).String(), "1m0s")
			att, err := token.Att[attachment](p)
			t.ok(err)
			t.equal(att, attachment{Role: "admin"})
		}},
		{name: "token: refresh on the same socket", run: checkRefresh},
		{name: "token: refresh by the procedure of a subscription", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{TTL: 60}, early)
			first := l.Token().IssuedAt
			t.until("another token", func() bool { return l.Token().IssuedAt.After(first) })
			r.publish("m")
			l.expect("m")
			t.equal(l.connections(), 1)
		}},
		{name: "token: refresh with other tags", run: checkOtherTags},
		{name: "token: goes on after its expiry, with another one", run: checkExpiry},
		{name: "token: expired, and there is no other", run: func(t *T) {
			r := t.room()
			tok := r.token(subscribeInput{TTL: 2})
			l := dial(t, func(context.Context) (string, error) { return tok, nil })
			l.outlive()
			r.publish("late")
			_, err := l.take()
			t.assertf(errors.Is(err, client.ErrRefused), "the iterator ends: %v", err)
			t.equal(l.State(), client.StateClosed)
		}},
		{name: "token: expired, and the source refuses another one", run: func(t *T) {
			r := t.room()
			refusal := &rpc.Error{Code: rpc.CodeForbidden}
			l := dial(t, r.source(subscribeInput{TTL: 2}, func() (subscribeInput, error) { return subscribeInput{}, refusal }))
			l.outlive()
			r.publish("late")
			_, err := l.take()
			t.assertf(errors.Is(err, client.ErrRefused) && errors.Is(err, refusal), "the iterator ends: %v", err)
		}},
		{name: "token: the connection ends with the token, without any traffic", weakness: "W20", run: func(t *T) {
			r := t.room()
			l := dial(t, r.source(subscribeInput{TTL: 2}, func() (subscribeInput, error) { return subscribeInput{}, nil }))
			expiry := l.Token().ExpiresAt
			t.until("the end of the connection", func() bool { return len(l.lost()) > 0 })
			late := time.Since(expiry)
			t.assertf(late > -time.Second && late < 3*time.Second, "the connection ends in time: %v", late)
		}},
	}
}

// early makes tokens with a lifetime of 60 s be replaced at once.
func early(o *client.Options) { o.RefreshTokenBeforeExpire = 59 * time.Second }

// token fetches a token for the room.
func (r *room) token(in subscribeInput) string {
	tok, err := r.fetch(r.t, in)
	r.t.ok(err)
	return tok
}

func (r *room) fetch(ctx context.Context, in subscribeInput) (string, error) {
	in.Room = r.name
	return onMessage.Procedure().Call(ctx, r.link, in)
}

// source returns a source whose first token is for the input first, and whose later
// tokens are for the inputs that further returns.
func (r *room) source(first subscribeInput, further func() (subscribeInput, error)) client.TokenFunc {
	var calls atomic.Int32
	return func(ctx context.Context) (string, error) {
		in := first
		if calls.Add(1) > 1 {
			var err error
			if in, err = further(); err != nil {
				return "", err
			}
		}
		return r.fetch(ctx, in)
	}
}

// outlive waits until the token has expired. Some servers notice it only at the next event.
func (l *listener) outlive() {
	l.t.pause(time.Until(l.Token().ExpiresAt)+100*time.Millisecond, "the expiry of the token")
}

func checkRefresh(t *T) {
	r := t.room()
	in := subscribeInput{Tags: []string{"a", "b"}, Att: attachment{Role: "user"}, TTL: 60}
	second := in
	second.Att, second.RPC, second.TTL = attachment{Role: "admin"}, []string{"toolbox", "hiddenClient"}, 120
	l := dial(t, r.source(in, func() (subscribeInput, error) { return second, nil }), early)
	var me whoami
	t.until("the new token", func() bool {
		var err error
		me, err = toolboxWhoami.Call(t, l, rpc.Void{})
		t.ok(err)
		return me.Att.Role == "admin"
	})
	t.equal(me.RPC, second.RPC)
	t.equal(me.Exp-me.Iat, 120.0)
	_, err := hiddenClient.Call(t, l, rpc.Void{})
	t.ok(err)
	_, err = routerPing.Call(t, l, nil)
	t.forbidden(err)
	r.publish("for admins", publishInput{Role: "admin"})
	l.expect("for admins")
	t.equal(l.connections(), 1)
}

func checkOtherTags(t *T) {
	r := t.room()
	ready := make(chan struct{})
	l := dial(t, r.source(subscribeInput{Tags: []string{"a"}, TTL: 60}, func() (subscribeInput, error) {
		select {
		case <-ready:
			return subscribeInput{Tags: []string{"b"}}, nil
		case <-t.Done():
			return subscribeInput{}, t.Err()
		}
	}), early)
	r.publish("a", publishInput{Tags: []string{"a"}})
	l.expect("a")
	r.publish("b, before", publishInput{Tags: []string{"b"}})
	close(ready)
	t.until("another connection", func() bool { return l.connections() == 2 })
	me, err := toolboxWhoami.Call(t, l, rpc.Void{})
	t.ok(err)
	t.equal(me.Tags, []string{"b"})
	r.publish("a, no more", publishInput{Tags: []string{"a"}})
	r.publish("b", publishInput{Tags: []string{"b"}})
	r.publish("end")
	l.expect("b, before", "b", "end")
	t.equal(len(l.lost()), 0)
}

func checkExpiry(t *T) {
	r := t.room()
	l := dial(t, r.source(subscribeInput{TTL: 2}, func() (subscribeInput, error) { return subscribeInput{}, nil }))
	r.publish("before")
	l.expect("before")
	l.outlive()
	r.publishAll("meanwhile", "end")
	l.expect("meanwhile", "end")
	lost := l.lost()
	t.assertf(len(lost) == 1, "the connection was lost once: %v", lost)
	t.assertf(strings.Contains(lost[0].Error(), "Token expired"), "the error has the reason: %v", lost[0])
}
