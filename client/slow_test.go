//go:build !js

package client_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
)

// expectAbort waits for the end of the current subscription.
func (s *socket) expectAbort() {
	s.t.Helper()
	f := s.next()
	require.Equal(s.t, 4, f.Type, f.text)
	require.Equal(s.t, string(s.sub), string(f.ID))
}

// overflow returns an iterator whose four buffered events are e-1 to e-4, while e-5 and
// e-6 were dropped.
func overflow(h *harness) (*client.Iterator[string], *socket) {
	h.t.Helper()
	o := h.options()
	o.BufferSize = 4
	it, s := h.live(o)
	s.event("e-1", "e-2", "e-3", "e-4", "e-5", "e-6")
	synctest.Wait()
	s.expectAbort()
	return it, s
}

func TestSlowReaderGetsEverythingOnTheSameSocket(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := overflow(h)
		s.event("e-7") // was sent before the abort arrived
		time.Sleep(time.Hour)
		require.True(t, s.quiet(), "nothing is requested without a reader")
		require.Equal(t, client.StateLive, it.State())

		var got []string
		for text, err := range it.All() {
			require.NoError(t, err)
			got = append(got, text)
			synctest.Wait()
			if len(got) == 1 {
				require.True(t, s.quiet(), "not half of it was read")
			}
			if len(got) == 2 {
				s.expectSubscribe("e-4").open("complete", "e-7")
				s.event("e-5", "e-6")
				synctest.Wait()
			}
			if len(got) == 4 {
				s.event("e-7")
			}
			if len(got) == 7 {
				break
			}
		}
		require.Equal(t, []string{"e-1", "e-2", "e-3", "e-4", "e-5", "e-6", "e-7"}, got)
		require.Len(t, h.upgradeTimes(), 1)
	})
}

func TestSlowReaderCanCall(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := overflow(h)
		answered := callInBackground(t, it, "m")
		s.reply(s.next(), `{"json":"done"}`)
		require.Equal(t, "done", <-answered)
	})
}

func TestSlowReaderWhoseConnectionIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := overflow(h)
		s.drop()
		s = h.accept()
		synctest.Wait()
		require.Equal(t, client.StateLive, it.State(), "for calls")
		require.True(t, s.quiet(), "there is no room for events")
		answered := callInBackground(t, it, "m")
		s.reply(s.next(), `{"json":"done"}`)
		require.Equal(t, "done", <-answered)

		l := read(t, it)
		l.expect("e-1", "e-2")
		s.expectSubscribe("e-4").open("complete", "")
		s.event("e-5", "e-6")
		l.expect("e-3", "e-4", "e-5", "e-6")
	})
}

func TestSlowReaderWhoseEventsAreGone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := overflow(h)
		l := read(t, it)
		l.expect("e-1", "e-2")
		s.expectSubscribe("e-4").open("truncated", "")
		s.event("e-6")
		l.expect("e-3", "e-4", gapTruncated, "e-6")
	})
}

// Events that a server sends outside of its log cannot be requested again.
func TestSlowReaderAndEventsWithoutID(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferSize = 4
		it, s := h.live(o)
		s.event("e-1", "e-2", "e-3", "e-4", "", "e-5")
		synctest.Wait()
		s.expectAbort()
		l := read(t, it)
		l.expect("e-1", "e-2")
		s.expectSubscribe("e-4").open("complete", "")
		s.event("e-5")
		l.expect("e-3", "e-4", gapNoResume, "e-5")
	})
}

func TestSlowReaderOverflowsAgainAndAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		const total = 100
		o := h.options()
		o.BufferSize = 4
		it, s := h.live(o)
		// serve replays everything after a subscription at once, until the abort.
		serve := func(from int) {
			for n := from + 1; n <= total; n++ {
				s.event(fmt.Sprintf("e-%d", n))
			}
		}
		serve(0)
		n := 0
		for text, err := range it.All() {
			require.NoError(t, err)
			n++
			require.Equal(t, fmt.Sprintf("e-%d", n), text)
			if n == total {
				break
			}
			synctest.Wait()
			for len(s.frames) > 0 {
				if f := s.next(); f.Type != 4 {
					var from int
					_, err := fmt.Sscanf(f.Payload.Header["last-event-id"], "e-%d", &from)
					require.NoError(t, err)
					s.sub = f.ID
					s.open("complete", "")
					serve(from)
					synctest.Wait()
				}
			}
		}
		require.Len(t, h.upgradeTimes(), 1)
	})
}
