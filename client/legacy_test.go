//go:build !js

package client_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The tests of this file run against a server of oRPC, which sends no header of ours.

func (h *harness) livePlain(o *client.Options, opts ...rpc.CallOption) (*client.Iterator[string], *socket) {
	h.t.Helper()
	d := h.dial(h.t.Context(), o, opts...)
	s := h.accept()
	s.sub = s.next().ID
	s.openPlain()
	return d.iterator(), s
}

// again is the next connection after a loss.
func (h *harness) again(lastEventID string) *socket {
	h.t.Helper()
	s := h.accept().expectSubscribe(lastEventID)
	s.openPlain()
	return s
}

func TestPlainServerResume(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.livePlain(h.options())
		l := read(t, it)
		s.event("1", "2")
		l.expect("1", "2")
		s.drop()
		s = h.again("2")
		s.event("3")
		l.expect("3")
		require.Equal(t, "3", it.LastEventID())
	})
}

// The original client does the same: such a server replays 10, 11, 8, 9 after 7, so the
// last event does not show which ones have arrived.
func TestPlainServerUnreadEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.livePlain(h.options(), rpc.WithLastEventID("7"))
		s.event("10", "11")
		synctest.Wait()
		s.drop()
		s = h.again("7")
		s.event("10", "11", "8", "9")
		l := read(t, it)
		l.expect("10", "11", "8", "9")
		require.Equal(t, "9", it.LastEventID())
		s.drop()
		s = h.again("9")
		s.event("10", "11", "12")
		l.expect("10", "11", "12") // the original repeats them too
		require.True(t, l.quiet())
	})
}

func TestPlainServerWithoutIDs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.livePlain(h.options())
		s.event("", "")
		synctest.Wait()
		s.drop()
		s = h.again("")
		s.event("")
		l := read(t, it)
		l.expect("-", "-", "-")
		require.True(t, l.quiet(), "it cannot be known whether anything is missing")
	})
}

func TestPlainServerReset(t *testing.T) {
	cases := map[string]struct {
		resumed string
		events  []string
		want    []string
	}{
		"ids go on":                         {"7", []string{"8", "9"}, []string{"8", "9"}},
		"ids begin at 1":                    {"7", []string{"1", "2"}, []string{gapReset, "1", "2"}},
		"the same id again":                 {"7", []string{"7", "8"}, []string{gapReset, "7", "8"}},
		"out of order, but all are greater": {"7", []string{"10", "8"}, []string{"10", "8"}},
		"the last event id is not a number": {"abc", []string{"1"}, []string{"1"}},
		"the events' ids are not numbers":   {"7", []string{"a"}, []string{"a"}},
		"events without id":                 {"7", []string{"", "8"}, []string{"-", "8"}},
		"everything was asked for":          {"0", []string{"1"}, []string{"1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := h.livePlain(h.options(), rpc.WithLastEventID(c.resumed))
				s.event(c.events...)
				l := read(t, it)
				l.expect(c.want...)
				require.True(t, l.quiet())
			})
		})
	}
}

func TestPlainServerLossAfterAReset(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.livePlain(h.options(), rpc.WithLastEventID("7"))
		s.event("1", "2")
		synctest.Wait()
		s.drop()
		s = h.again("0") // 7 would omit the next events
		s.event("1", "2", "3")
		l := read(t, it)
		l.expect(gapReset, "1", "2", "3")
		require.True(t, l.quiet())
	})
}

func TestPlainServerSlowReader(t *testing.T) {
	t.Run("with ids", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			o := h.options()
			o.BufferSize = 4
			it, s := h.livePlain(o)
			s.event("1", "2", "3", "4", "5", "6")
			synctest.Wait()
			s.expectAbort()
			take(t, it, "1", "2")
			s.expectSubscribe("2").openPlain()
			s.event("3", "4", "5")
			take(t, it, "3", "4", "5")
		})
	})
	t.Run("without ids", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			o := h.options()
			o.BufferSize = 4
			it, s := h.livePlain(o)
			s.event("", "", "", "", "", "")
			synctest.Wait()
			s.expectAbort()
			take(t, it, "-", "-")
			s.expectSubscribe("").openPlain()
			s.event("")
			take(t, it, "-", "-", gapNoResume, "-")
		})
	})
}
