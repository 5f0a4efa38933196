package durableobject_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// isKind reports whether a message between nodes has this kind.
func isKind(data []byte, kind string) bool { return bytes.Contains(data, []byte(`"kind":"`+kind+`"`)) }

// Whichever message is lost or late, a question is processed once and each socket is counted once.
func TestDisconnectCountsOnce(t *testing.T) {
	for name, test := range map[string]struct {
		kind string
		fate eventlogtest.Fate
	}{
		"question is lost": {"question", eventlogtest.Fate{Drop: true}},
		"answer is lost":   {"answer", eventlogtest.Fate{Drop: true}},
		"question is late": {"question", eventlogtest.Fate{Delay: 300 * time.Millisecond}},
		"answer is late":   {"answer", eventlogtest.Fate{Delay: 300 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, _ *guestBook) {
				for i := range 20 {
					for _, n := range nodes {
						n.connect(fmt.Sprint(i))
					}
				}
				for i := range 20 {
					var lost atomic.Int32
					for _, n := range nodes {
						n.bus.Disturb(func(_ string, data []byte) eventlogtest.Fate {
							if isKind(data, test.kind) {
								if lost.Add(1) == 1 {
									return test.fate
								}
							}
							return eventlogtest.Fate{}
						})
					}
					synctest.Wait()
					n, err := nodes[i%3].halls.Disconnect(t.Context(), durableobject.Who{ID: fmt.Sprint(i)}, 4000, "")
					require.NoError(t, err)
					require.Equal(t, 3, n)
					require.Positive(t, lost.Load())
				}
			})
		})
	}
}

// An answer that was sent long ago is forgotten, and new questions are processed.
func TestManyDisconnects(t *testing.T) {
	inHalls(t, 2, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, _ *guestBook) {
		for range 3000 {
			nodes[1].connect("a")
			synctest.Wait()
			n, err := nodes[0].halls.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4000, "")
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
	})
}

// A node that shuts down while it is asked is not reported as silent.
func TestDisconnectWhileANodeLeaves(t *testing.T) {
	inHalls(t, 1, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		leaving := newHallOn(t, bus, book)
		time.Sleep(time.Minute)
		leaving.bus.Disturb(func(_ string, data []byte) eventlogtest.Fate {
			return eventlogtest.Fate{Drop: isKind(data, "question")}
		})
		done := make(chan error)
		go func() {
			_, err := nodes[0].halls.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4000, "")
			done <- err
		}()
		synctest.Wait()
		leaving.end()
		require.NoError(t, <-done)
	})
}

// choking is a bus that hangs after its node has sent a question.
type choking struct {
	eventlog.Bus
	asked bool
}

func (b *choking) Broadcast(ctx context.Context, topic string, data []byte) error {
	if isKind(data, "question") {
		if b.asked {
			<-ctx.Done()
			return ctx.Err()
		}
		b.asked = true
	}
	return b.Bus.Broadcast(ctx, topic, data)
}

// Repeating a question takes no longer than the time that nodes have to answer.
func TestDisconnectOverABusThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := eventlogtest.NewSharedBus()
		own := shared.Open()
		asking := newFixture(t, durableobject.Options{Bus: &choking{Bus: own}}, nil)
		handles := []*eventlogtest.BusHandle{own}
		nodes := []*fixture{asking}
		for range 5 {
			h := shared.Open()
			handles, nodes = append(handles, h), append(nodes, newFixture(t, durableobject.Options{Bus: h}, nil))
		}
		time.Sleep(time.Minute)
		for _, h := range handles[1:] {
			h.Cut(true)
		}
		begun := time.Now()
		_, err := asking.rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4000, "")
		require.ErrorIs(t, err, durableobject.ErrSilent)
		require.Less(t, time.Since(begun), time.Second)
		for i, n := range nodes {
			handles[i].Cut(false)
			n.end()
			require.NoError(t, handles[i].Close())
		}
	})
}
