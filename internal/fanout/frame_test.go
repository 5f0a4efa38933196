package fanout

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// No other id has more subscriptions than the shared one.
func TestSharedIDIsTheMostCommonOne(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	var s sharedID
	counts := map[string]int{}
	var subscribed []string
	for range 20_000 {
		if len(subscribed) > 0 && rnd.IntN(100) < 48 {
			i := rnd.IntN(len(subscribed))
			id := subscribed[i]
			subscribed[i] = subscribed[len(subscribed)-1]
			subscribed = subscribed[:len(subscribed)-1]
			counts[id]--
			s.remove(peer.ID(id))
		} else {
			id := fmt.Sprint(rnd.IntN(1 + rnd.IntN(20)))
			subscribed = append(subscribed, id)
			counts[id]++
			s.add(peer.ID(id))
		}
		most := 0
		for _, n := range counts {
			most = max(most, n)
		}
		require.Equal(t, most, s.most)
		if most > 0 {
			require.Equal(t, most, counts[string(s.id)])
		}
	}
	for _, id := range subscribed {
		s.remove(peer.ID(id))
	}
	require.Empty(t, s.counts, "an id is forgotten with its last subscription")
	require.Empty(t, s.byCount)
	s.add(nil)
	require.Empty(t, s.counts, "no frame is shared without an id")
}

// The time of an operation must not depend on how many ids there have been.
func BenchmarkSharedID(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("before=%d", n), func(b *testing.B) {
			var s sharedID
			s.add(peer.ID("a"))
			for i := range n {
				s.add(peer.ID(fmt.Sprint(i)))
			}
			for i := range n {
				s.remove(peer.ID(fmt.Sprint(i)))
			}
			for b.Loop() { // each of them becomes the shared one
				s.add(peer.ID("b"))
				s.remove(peer.ID("a"))
				s.add(peer.ID("a"))
				s.remove(peer.ID("b"))
			}
		})
	}
}

// A client that subscribes again and again does not prevent others from sharing frames, neither
// while it is connected nor after it has left.
func TestFramesStayShared(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		var honest []*client
		for i := range 100 {
			honest = append(honest, f.subscribe(fmt.Sprint(i)))
		}
		own := func() (n int) {
			f.publish("event")
			for _, c := range honest {
				var b socket.Batch
				c.reader.Read(t.Context(), &b, false, never)
				require.Len(t, unframe(t, append(b.Own, b.Shared...)), 1)
				n += len(b.Own)
			}
			return n
		}
		require.Zero(t, own())
		hostile := f.join("hostile")
		for i := range 5000 {
			hostile.subscribe(`"evil"`, "")
			if i%2 == 0 {
				hostile.reader.Unsubscribe(hostile.sub)
			}
		}
		require.Zero(t, own())
		hostile.leave()
		require.Zero(t, own())
		for _, c := range honest[1:] { // they reconnect, and count on
			c.subscribe("2", "")
			c.reader.Release(c.sub)
		}
		honest[0].leave()
		honest = honest[1:]
		require.Zero(t, own())
		for _, c := range honest {
			c.leave()
		}
	})
}

func TestFramesUnderEveryID(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		var clients []*client
		for _, id := range []string{"1", "2", `"text"`, ""} {
			c := f.join(id)
			c.subscribe(id, "")
			if id == "" {
				c.sub.ID = nil
			}
			c.reader.Release(c.sub)
			clients = append(clients, c)
		}
		for _, size := range []int{0, 100, 1000, 70_000} {
			text := pad("event", size)
			id := f.publish(text)
			for _, c := range clients {
				messages, more := c.pull(false)
				require.Equal(t, socket.None, more)
				require.Len(t, messages, 1)
				e := decode(t, messages[0])
				require.Equal(t, string(c.sub.ID), string(e.I))
				require.Equal(t, text, e.P.D)
				require.Equal(t, id, e.P.M.ID)
			}
		}
		for _, c := range clients {
			c.leave()
		}
	})
}
