//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// unreadable are events that no client can read, except for the id that some of them have.
var unreadable = map[string]struct{ event, id string }{
	"too large":                     {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"` + strings.Repeat("x", 5000) + `"},"m":{"id":"e-2"}}}`, "e-2"},
	"too large, without id":         {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"` + strings.Repeat("x", 5000) + `"}}}`, ""},
	"too large, in its id":          {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"` + strings.Repeat("x", 5000) + `"}}}`, ""},
	"an id too long to send":        {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"` + strings.Repeat("x", 2000) + `"}}}`, ""},
	"an id that is not a string":    {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":2}}}`, ""},
	"no JSON":                       {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":oops},"m":{"id":"e-2"}}}`, "e-2"},
	"cut JSON":                      {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":`, ""},
	"cut before its kind":           {`{"i":%s,"p":{"e":`, ""},
	"an unknown message":            {`{"i":`, ""},
	"bad metadata":                  {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"e-2","retry":-1}}}`, "e-2"},
	"metadata of no type":           {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":7}}`, ""},
	"a kind of no type":             {`{"i":%s,"t":3,"p":{"e":1,"d":{"json":"x"},"m":{"id":"e-2"}}}`, "e-2"},
	"no payload":                    {`{"i":%s,"t":3}`, ""},
	"no value":                      {`{"i":%s,"t":3,"p":{"e":"message","d":null,"m":{"id":"e-2"}}}`, "e-2"},
	"a type that is not a list":     {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x","meta":{}},"m":{"id":"e-2"}}}`, "e-2"},
	"a path to nowhere":             {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x","meta":[[1,"a"]]},"m":{"id":"e-2"}}}`, "e-2"},
	"a value of another type":       {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":{"a":1}},"m":{"id":"e-2"}}}`, "e-2"},
	"a number in place of a string": {`{"i":%s,"t":3,"p":{"e":"message","d":{"json":5},"m":{"id":"e-2"}}}`, "e-2"},
}

// unreadable sends an event that cannot be read.
func (s *socket) unreadable(event string) {
	s.t.Helper()
	s.send("%s", strings.Replace(event, "%s", string(s.sub), 1))
}

func TestUnreadableEvents(t *testing.T) {
	for name, c := range unreadable {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				o := h.options()
				o.MaxMessageBytes = 4000
				it, s := h.live(o)
				s.event("e-1")
				s.unreadable(c.event)
				s.event("e-3")
				var got []string
				for event, err := range it.Events() {
					if err == nil {
						if got = append(got, event.Data); event.Data == "e-3" {
							break
						}
						require.Equal(t, "e-1", it.LastEventID())
						continue
					}
					require.Zero(t, event)
					gap, ok := errors.AsType[*client.GapError](err)
					require.True(t, ok, "%v", err)
					require.ErrorIs(t, err, client.ErrGap)
					require.Equal(t, client.GapUnreadable, gap.Reason)
					require.Equal(t, "room", gap.Channel)
					require.Equal(t, "e-1", gap.LastEventID)
					bad, ok := errors.AsType[*client.EventError](err)
					require.True(t, ok)
					require.Equal(t, c.id, bad.ID)
					require.Error(t, bad.Err)
					if c.id != "" {
						require.Equal(t, c.id, it.LastEventID(), "the iterator has moved past it")
					}
					got = append(got, "gap")
				}
				require.Equal(t, []string{"e-1", "gap", "e-3"}, got)
				require.Equal(t, client.StateLive, it.State())
				require.Len(t, h.tried(), 1, "on the same connection")
				s.drop()
				h.accept().expectSubscribe("e-3")
			})
		})
	}
}

// A server sends an event again with each resume until the client has moved past it.
func TestUnreadableEventsInAReplay(t *testing.T) {
	for name, c := range unreadable {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				o := h.options()
				o.MaxMessageBytes = 4000
				it, s := h.live(o)
				s.event("e-1")
				for range 5 {
					synctest.Wait()
					s.unreadable(c.event)
					synctest.Wait()
					require.Equal(t, client.StateLive, it.State())
					s.drop()
					s = h.accept()
					from := s.next().Payload.Header["last-event-id"]
					s.sub = fmt.Appendf(nil, "%q", fmt.Sprint(len(h.tried())))
					if c.id != "" {
						require.Equal(t, "e-2", from)
					}
					s.open("complete", "")
				}
				s.event("e-3")
				var got []string
				for event, err := range it.Events() {
					if err != nil {
						require.ErrorIs(t, err, client.ErrGap)
					}
					if got = append(got, event.Data); event.Data == "e-3" {
						break
					}
				}
				if slices.Contains([]string{"a value of another type", "a number in place of a string", "a path to nowhere", "a type that is not a list"}, name) {
					require.Len(t, got, 7, "that is not seen before they are read")
					return
				}
				require.Equal(t, []string{"e-1", "", "e-3"}, got, "gaps without an event in between are merged")
			})
		})
	}
}

// Unread events take no more memory if they cannot be read.
func TestUnreadableEventsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferSize = 4
		it, s := h.live(o)
		for n := range 3 {
			s.event(fmt.Sprintf("e-%d", 2*n+1))
			s.unreadable(unreadable["bad metadata"].event)
			s.unreadable(unreadable["no payload"].event)
		}
		synctest.Wait()
		s.expectAbort()
		l := read(t, it)
		l.expect("e-1")
		require.Contains(t, <-l.got, "unreadable")
		s.expectSubscribe("e-2").open("complete", "")
		l.expect("e-3")
	})
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		other  bool // whether another call can continue
	}{
		"too large":          {`{"i":%s,"p":{"b":{"json":"` + strings.Repeat("x", 5000) + `"}}}`, true},
		"no JSON":            {`{"i":%s,"p":{"b":{"json":oops}}}`, true},
		"an unknown message": {`{"i":`, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				o := h.options()
				o.MaxMessageBytes = 4000
				it, s := h.live(o)
				failures := make([]chan error, 2)
				frames := make([]frame, 2)
				for i := range failures {
					failures[i] = make(chan error, 1)
					go func() {
						_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
						failures[i] <- err
					}()
					frames[i] = s.next()
				}
				s.unreadable(strings.Replace(c.answer, "%s", string(frames[0].ID), 1))
				require.Error(t, <-failures[0])
				if c.other {
					synctest.Wait()
					require.Empty(t, failures[1])
				} else {
					require.Error(t, <-failures[1])
				}
				s.event("e-1")
				for err := range gaps(it) {
					require.False(t, c.other, "%v", err)
				}
				require.Len(t, h.tried(), 1)
			})
		})
	}
}

// gaps reads up to the next event.
func gaps(it *client.Iterator[string]) func(func(error) bool) {
	return func(yield func(error) bool) {
		for _, err := range it.Events() {
			if err == nil || !yield(err) {
				return
			}
		}
	}
}

func TestOnGap(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var seen []string
		o := h.options()
		o.OnGap = func(ctx context.Context, g *client.GapError) {
			require.NoError(t, ctx.Err())
			time.Sleep(time.Hour) // loads the state
			seen = append(seen, g.Reason.String()+" after "+g.LastEventID)
		}
		it, s := h.live(o)
		s.event("e-1")
		synctest.Wait()
		s.drop()
		s = h.accept().expectSubscribe("e-1")
		s.open("truncated", "")
		s.event("e-5")
		s.unreadable(unreadable["no value"].event)
		s.event("e-7")
		for text, err := range it.All() {
			require.NoError(t, err)
			if seen = append(seen, text); text == "e-7" {
				break
			}
		}
		require.Equal(t, []string{"e-1", "truncated after e-1", "e-5", "unreadable after e-5", "e-7"}, seen)
	})
}

func TestWithoutOnGapTheLoopEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1")
		s.unreadable(unreadable["no value"].event)
		s.event("e-3")
		var seen []string
		for range 2 {
			for text, err := range it.All() { // whatever the body does about the error
				if err != nil {
					require.ErrorIs(t, err, client.ErrGap)
					text = "gap"
				}
				if seen = append(seen, text); text == "e-3" {
					break
				}
			}
			seen = append(seen, "end")
		}
		require.Equal(t, []string{"e-1", "gap", "end", "e-3", "end"}, seen)
	})
}

// OnGap is not called by Events, which returns each gap.
func TestEventsWithOnGap(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.OnGap = func(context.Context, *client.GapError) { t.Error("called") }
		it, s := h.live(o)
		s.unreadable(unreadable["no value"].event)
		s.event("e-3")
		l := read(t, it)
		require.Contains(t, <-l.got, "unreadable")
		l.expect("e-3")
	})
}

func TestCloseInOnGap(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var it *client.Iterator[string]
		o := h.options()
		o.OnGap = func(ctx context.Context, _ *client.GapError) {
			require.NoError(t, it.Close())
			require.Error(t, ctx.Err())
		}
		it, s := h.live(o)
		s.unreadable(unreadable["no value"].event)
		s.event("e-3")
		begin := time.Now()
		for _, err := range it.All() {
			require.NoError(t, err, "an event after Close")
		}
		require.LessOrEqual(t, time.Since(begin), time.Second)
	})
}
