package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// callChecks returns the checks of methods called over the socket of an iterator.
func callChecks() []check {
	checks := []check{
		{name: "call: single", run: onRoom(func(t *T, l *listener) {
			_, err := singleClient.Call(t, l, textMessage{"m"})
			t.ok(err)
		})},
		{name: "call: nested", run: onRoom(func(t *T, l *listener) {
			pong, err := routerPing.Call(t, l, map[string]any{"any": 1.0})
			t.ok(err)
			t.equal(pong, "pong")
			text, err := routerEcho.Call(t, l, textInput{"é"})
			t.ok(err)
			t.equal(text, "Echo: é")
		})},
		{name: "call: undefined", run: onRoom(func(t *T, l *listener) {
			out, err := toolboxEcho.Call(t, l, value.Undefined{})
			t.ok(err)
			t.equal(out, value.Undefined{})
		})},
		{name: "call: natives in Go types", run: onRoom(func(t *T, l *listener) { checkTyped(t, l, toolboxEchoTyped) })},
		{name: "call: socket and token of the caller", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{Tags: []string{"a"}, Att: attachment{Role: "user"}, TTL: 60})
			me, err := toolboxWhoami.Call(t, l, rpc.Void{})
			t.ok(err)
			t.equal(me.Exp-me.Iat, 60.0)
			me.Iat, me.Exp = 0, 0
			t.equal(me, whoami{
				ID: l.ID(), Channel: r.name, Tags: []string{"a"}, Att: attachment{Role: "user"},
				RPC: []string{"singleClient", "routerClient", "toolbox"},
			})
		}},
		{name: "call: 200 at once", run: onRoom(func(t *T, l *listener) { checkMany(t, l, toolboxEcho, 200) })},
		{name: "call: slow beside fast", run: onRoom(checkSlow)},
		{name: "call: abort reaches the method", run: onRoom(checkAbort)},
		{name: "call: a deadline", run: onRoom(func(t *T, l *listener) {
			ctx, cancel := context.WithTimeout(t, 50*time.Millisecond)
			defer cancel()
			_, err := toolboxSlow.Call(ctx, l, slowInput{60_000, "k"})
			t.assertf(errors.Is(err, context.DeadlineExceeded), "the error is that of the context: %v", err)
			t.aborted(l, 1)
		})},
		{name: "call: lost connection", run: checkLostCall},
		{name: "call: waits while there is no connection", run: checkWaitingCall},
		{name: "call: retry", run: onRoom(checkRetry)},
		{name: "call: events and answers on one socket", run: onRoom(checkMixed)},
	}
	for _, s := range samples() {
		checks = append(checks, check{name: "call: echo: " + s.name, run: onRoom(func(t *T, l *listener) {
			out, err := toolboxEcho.Call(t, l, s.value)
			t.ok(err)
			t.equal(out, s.value)
		})})
	}
	return checks
}

// onRoom returns a check that calls run with an iterator.
func onRoom(run func(*T, *listener)) func(*T) {
	return func(t *T) { run(t, t.room().subscribe(subscribeInput{})) }
}

// slow calls the slow method, and returns a channel for its error. It returns after a time
// in which the method has very probably begun.
func (t *T) slow(ctx context.Context, l *listener) <-chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := toolboxSlow.Call(ctx, l, slowInput{60_000, "k"})
		answer <- err
	}()
	t.pause(50*time.Millisecond, "the method to begin")
	t.aborted(l, 0)
	return answer
}

// aborted waits until want slow calls were aborted.
func (t *T) aborted(l *listener, want int) {
	t.until(fmt.Sprintf("%d aborted calls", want), func() bool {
		n, err := toolboxAborted.Call(t, l, keyInput{"k"})
		t.ok(err)
		t.assertf(n <= want, "%d calls were aborted, not %d", n, want)
		return n == want
	})
}

// answer waits for the error of a call.
func (t *T) answer(c <-chan error) error {
	select {
	case err := <-c:
		return err
	case <-t.Done():
		t.failf("waiting for an answer: %w", t.Err())
		return nil
	}
}

func checkSlow(t *T, l *listener) {
	slow := make(chan error, 1)
	go func() {
		text, err := toolboxSlow.Call(t, l, slowInput{500, "k"})
		if err == nil && text != "done" {
			err = fmt.Errorf("the answer is %q", text)
		}
		slow <- err
	}()
	for range 10 {
		_, err := routerPing.Call(t, l, nil)
		t.ok(err)
	}
	t.assertf(len(slow) == 0, "the fast calls end first")
	t.ok(t.answer(slow))
}

func checkAbort(t *T, l *listener) {
	cause := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t)
	defer cancel(nil)
	answer := t.slow(ctx, l)
	cancel(cause)
	err := t.answer(answer)
	t.assertf(errors.Is(err, context.Canceled), "the error is that of the context: %v", err)
	t.aborted(l, 1)
}

func checkLostCall(t *T) {
	p := t.proxy(t.chat)
	l := t.room().subscribe(subscribeInput{}, p.through)
	answer := t.slow(t, l)
	p.drop()
	err := t.answer(answer)
	t.assertf(errors.Is(err, rpc.ErrDisconnected), "the error is rpc.ErrDisconnected: %v", err)
	l.down()
	t.aborted(l, 1)
}

func checkWaitingCall(t *T) {
	p := t.proxy(t.chat)
	l := t.room().subscribe(subscribeInput{}, p.through)
	p.block()
	l.down()
	ctx, cancel := context.WithTimeout(t, 50*time.Millisecond)
	defer cancel()
	_, err := routerPing.Call(ctx, l, nil)
	t.assertf(errors.Is(err, context.DeadlineExceeded), "the call has waited until its context ended: %v", err)
	time.AfterFunc(50*time.Millisecond, p.mend)
	pong, err := routerPing.Call(t, l, nil)
	t.ok(err)
	t.equal(pong, "pong")
}

func checkRetry(t *T, l *listener) {
	soon := rpc.Retry{Max: 3, Delay: func(int, error) time.Duration { return time.Millisecond }}
	calls, err := toolboxFlaky.Call(t, l, flakyInput{"a", 2}, soon)
	t.ok(err)
	t.equal(calls, 3)
	_, err = toolboxFlaky.Call(t, l, flakyInput{"b", 1})
	t.refused(err, rpc.Error{Code: rpc.CodeServiceUnavailable, Status: 503})
	_, err = toolboxFlaky.Call(t, l, flakyInput{"c", 9}, soon)
	t.refused(err, rpc.Error{Code: rpc.CodeServiceUnavailable, Status: 503})
	calls, err = toolboxFlaky.Call(t, l, flakyInput{"c", 4})
	t.ok(err)
	t.equal(calls, 5)
}

// checkMixed publishes events between calls.
func checkMixed(t *T, l *listener) {
	for _, m := range numbers(1, 9) {
		_, err := toolboxPublish.Call(t, l, publishInput{Message: m})
		t.ok(err)
		_, err = routerPing.Call(t, l, nil)
		t.ok(err)
	}
	l.expect(numbers(1, 9)...)
}
