//go:build !js

package client_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

func TestResumeBehindTheLastEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		require.Equal(t, "e-0", it.LastEventID(), "the position of the subscription")
		l := read(t, it)
		s.event("e-1", "e-2")
		l.expect("e-1", "e-2")
		require.Equal(t, "e-2", it.LastEventID())
		s.drop()
		s = h.accept().expectSubscribe("e-2")
		s.open("complete", "e-9")
		synctest.Wait()
		require.Equal(t, "e-2", it.LastEventID(), "on a resume the position does not count")
		s.event("e-3")
		l.expect("e-3")
	})
}

func TestUnreadEventsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1", "", "e-2", "")
		synctest.Wait()
		s.drop()
		s = h.accept().expectSubscribe("e-2")
		s.open("complete", "")
		s.event("e-3")
		synctest.Wait()
		require.Equal(t, "e-0", it.LastEventID(), "nothing was yielded")
		l := read(t, it)
		l.expect("e-1", "-", "e-2", "-", "e-3")
		require.Equal(t, "e-3", it.LastEventID())
	})
}

func TestBreakAndGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1", "e-2", "e-3")
		var got []string
		for range 3 {
			for text, err := range it.All() {
				require.NoError(t, err)
				got = append(got, text+"="+it.LastEventID())
				break
			}
		}
		require.Equal(t, []string{"e-1=e-1", "e-2=e-2", "e-3=e-3"}, got)
		require.Equal(t, client.StateLive, it.State())
	})
}

func TestEventsGiveMetadata(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"e-1","retry":7,"comments":["c"]}}}`, s.sub)
		for event, err := range it.Events() {
			require.NoError(t, err)
			require.Equal(t, "x", event.Data)
			require.Equal(t, "e-1", event.Meta.ID)
			require.Equal(t, []string{"c"}, event.Meta.Comments)
			break
		}
	})
}

func TestPositionsMoveTheCursorInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.position("e-5")
		synctest.Wait()
		require.Equal(t, "e-5", it.LastEventID(), "no event is before it")
		s.event("e-6", "e-7")
		s.position("e-8")
		s.position("e-9")
		synctest.Wait()
		require.Equal(t, "e-5", it.LastEventID())
		l := read(t, it)
		l.expect("e-6")
		l.expect("e-7")
		require.Equal(t, "e-9", it.LastEventID())
		require.True(t, l.quiet(), "they are not events")
		s.drop()
		h.accept().expectSubscribe("e-9")
	})
}

func TestLastEventIDOfTheApplication(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		d := h.dial(t.Context(), h.options(), rpc.WithLastEventID("e-41"), rpc.WithHeader("X-Mine", "1"))
		s := h.accept()
		f := s.next()
		require.Equal(t, map[string]string{"x-durable-iterator": "1", "last-event-id": "e-41", "x-mine": "1"}, f.Payload.Header)
		s.sub = f.ID
		s.open("complete", "e-50")
		it := d.iterator()
		require.Equal(t, "e-41", it.LastEventID())
	})
}

func TestGaps(t *testing.T) {
	// Each case begins with a first subscription, and may continue with others after a
	// loss. An event e-N follows the N-th.
	type answer struct{ lastEventID, resume, position string }
	cases := map[string]struct {
		given   string
		answers []answer
		want    []string
	}{
		"nothing to resume":                    {"", []answer{{"", "none", "e-0"}}, []string{"e-1"}},
		"a server that keeps nothing":          {"", []answer{{"", "off", ""}}, []string{"e-1"}},
		"complete":                             {"e-0", []answer{{"e-0", "complete", ""}}, []string{"e-1"}},
		"given and truncated":                  {"x-0", []answer{{"x-0", "truncated", ""}}, []string{gapTruncated, "e-1"}},
		"given to a server that keeps nothing": {"e-0", []answer{{"e-0", "off", ""}}, []string{gapNoResume, "e-1"}},
		"complete after a loss":                {"", []answer{{"", "none", "e-0"}, {"e-1", "complete", ""}}, []string{"e-1", "e-2"}},
		"truncated after a loss":               {"", []answer{{"", "none", "e-0"}, {"e-1", "truncated", ""}}, []string{"e-1", gapTruncated, "e-2"}},
		"a server that keeps nothing any more": {"", []answer{{"", "none", "e-0"}, {"e-1", "off", ""}}, []string{"e-1", gapNoResume, "e-2"}},
		"several gaps":                         {"", []answer{{"", "none", "e-0"}, {"e-1", "truncated", ""}, {"e-2", "truncated", ""}}, []string{"e-1", gapTruncated, "e-2", gapTruncated, "e-3"}},
		"an unknown word":                      {"", []answer{{"", "none", "e-0"}, {"e-1", "perhaps", ""}}, []string{"e-1", gapNoResume, "e-2"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				var opts []rpc.CallOption
				if c.given != "" {
					opts = append(opts, rpc.WithLastEventID(c.given))
				}
				d := h.dial(t.Context(), h.options(), opts...)
				for i, a := range c.answers {
					s := h.accept().expectSubscribe(a.lastEventID)
					s.open(a.resume, a.position)
					s.event([]string{"e-1", "e-2", "e-3"}[i])
					synctest.Wait()
					if i < len(c.answers)-1 {
						s.drop()
					}
				}
				l := read(t, d.iterator())
				l.expect(c.want...)
				require.True(t, l.quiet())
			})
		})
	}
}

func TestServersThatKeepNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		d := h.dial(t.Context(), h.options())
		s := h.accept().expectSubscribe("")
		s.open("off", "")
		it := d.iterator()
		s.event("", "")
		synctest.Wait()
		for range 3 { // without a reader
			s.drop()
			s = h.accept().expectSubscribe("")
			s.open("off", "")
			synctest.Wait()
		}
		s.event("")
		l := read(t, it)
		l.expect("-", "-", gapNoResume, "-")
		require.True(t, l.quiet())
		require.Empty(t, it.LastEventID())

		s.drop()
		s = h.accept().expectSubscribe("")
		s.open("none", "e-7") // the server keeps events from now on
		l.expect(gapNoResume)
		synctest.Wait() // for the position, which follows the gap
		require.Equal(t, "e-7", it.LastEventID())
	})
}

func TestGapError(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1")
		synctest.Wait()
		s.drop()
		h.accept().expectSubscribe("e-1").open("truncated", "")
		for _, err := range it.All() {
			if err == nil {
				continue
			}
			require.ErrorIs(t, err, client.ErrGap)
			gap, ok := errors.AsType[*client.GapError](err)
			require.True(t, ok)
			require.Equal(t, client.GapError{Reason: client.GapTruncated, Channel: "room", LastEventID: "e-1"}, *gap)
			break
		}
		require.Equal(t, "e-1", it.LastEventID())
	})
}

func TestLoopsShareTheEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		one, two := read(t, it), read(t, it)
		s.event("e-1", "e-2")
		synctest.Wait() // until each holds one
		require.ElementsMatch(t, []string{"e-1", "e-2"}, []string{<-one.got, <-two.got})
		require.NoError(t, it.Close())
		one.expectEnd()
		two.expectEnd()
	})
}
