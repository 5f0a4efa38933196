//go:build !js

package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
)

// loop ranges over an iterator on a separate goroutine.
type loop struct {
	t    *testing.T
	got  chan string
	done chan struct{}
}

// read ranges, and sends events as their data and errors as "!" and their text.
func read(t *testing.T, it *client.Iterator[string]) *loop {
	l := &loop{t: t, got: make(chan string), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for event, err := range it.Events() {
			text := event.Data
			if err != nil {
				text = "!" + err.Error()
			}
			select {
			case l.got <- text:
			case <-t.Context().Done():
			}
		}
	}()
	return l
}

func (l *loop) expect(want ...string) {
	l.t.Helper()
	for i, w := range want {
		select {
		case text := <-l.got:
			require.Equal(l.t, w, text, "item %d", i)
		case <-l.done:
			require.Fail(l.t, "the loop has ended", "before %s", w)
		case <-time.After(time.Hour):
			require.Fail(l.t, "no item arrived", "instead of %s", w)
		}
	}
}

// take reads exactly as many items as wanted.
func take(t *testing.T, it *client.Iterator[string], want ...string) {
	t.Helper()
	var got []string
	for event, err := range it.Events() {
		text := event.Data
		if err != nil {
			text = "!" + err.Error()
		}
		if got = append(got, text); len(got) == len(want) {
			break
		}
	}
	require.Equal(t, want, got)
}

// quiet reports whether no further item has arrived.
func (l *loop) quiet() bool {
	synctest.Wait()
	select {
	case <-l.got:
		return false
	default:
		return true
	}
}

// expectEnd waits for the end of the loop and checks that there are no further items.
func (l *loop) expectEnd() {
	l.t.Helper()
	select {
	case text := <-l.got:
		require.Fail(l.t, "not the end", text)
	case <-l.done:
	case <-time.After(time.Hour):
		require.Fail(l.t, "the loop continues")
	}
}

const (
	gapTruncated = "!client: events are missing: truncated"
	gapNoResume  = "!client: events are missing: no resume"
	gapReset     = "!client: events are missing: reset"
)
