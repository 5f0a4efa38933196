package durableobject_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// Every node lists the members of all nodes, with the tags and the attachment of their newest
// token.
func TestPresenceOverNodes(t *testing.T) {
	inHalls(t, 3, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		nodes[0].connect("a", withAtt(`1`), withTags("x"))
		time.Sleep(time.Second)
		nodes[1].connect("a", withAtt(`2`), withTags("y"))
		nodes[1].connect("b")
		synctest.Wait()
		late := newHallOn(t, bus, book)
		for _, n := range append(nodes, late) {
			require.Equal(t, []string{"a", "b"}, n.members())
			p, err := n.hall().Presence(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, p.Members[0].Sockets)
			require.JSONEq(t, `2`, string(p.Members[0].Att))
			require.Equal(t, []string{"y"}, p.Members[0].Tags)
			require.WithinDuration(t, time.Now().Add(-time.Second), p.Members[0].Since, 500*time.Millisecond)
		}
		require.ElementsMatch(t, []string{"+a", "+b"}, book.take())
		late.end()
	})
}

// A client that moves to any other node within the grace period has not left.
func TestPresenceOfAClientThatMoves(t *testing.T) {
	inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		var followers []*listFollower
		for _, n := range nodes {
			followers = append(followers, follow(n))
		}
		c := nodes[0].connect("a")
		require.Equal(t, []string{"+a"}, book.take())
		for i := range 20 {
			c.drop()
			time.Sleep(time.Duration(i%5) * 1200 * time.Millisecond)
			c = nodes[(i+1)%3].connect("a")
			for _, n := range nodes {
				require.Equal(t, []string{"a"}, n.members())
			}
		}
		time.Sleep(time.Minute)
		require.Empty(t, book.take())
		c.drop()
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"-a"}, book.take())
		for _, f := range followers {
			changes := f.take()
			require.Equal(t, "joined a", changes[0])
			require.Equal(t, "left a", changes[len(changes)-1])
			require.NotContains(t, changes[1:len(changes)-1], "joined a")
			require.NotContains(t, changes[1:len(changes)-1], "left a")
			f.stop()
			<-f.done
		}
	})
}

// The members of a node that was killed are removed within 30 s, unless they are also connected to
// other nodes.
func TestPresenceOfANodeThatIsKilled(t *testing.T) {
	inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		nodes[0].connect("a")
		nodes[0].connect("b")
		nodes[0].connect("c")
		synctest.Wait()
		nodes[1].connect("b")
		require.ElementsMatch(t, []string{"+a", "+b", "+c"}, book.take())
		nodes[0].kill()
		nodes[2].connect("c")
		time.Sleep(10 * time.Second)
		p, err := nodes[1].hall().Presence(t.Context())
		require.NoError(t, err)
		require.Len(t, p.Silent, 1)
		time.Sleep(20 * time.Second)
		require.ElementsMatch(t, []string{"b", "c"}, nodes[1].members())
		require.ElementsMatch(t, []string{"b", "c"}, nodes[2].members())
		require.Equal(t, []string{"-a"}, book.take())
		require.Equal(t, []string{"b", "c"}, book.present())
	})
}

// Several nodes are killed before the others have noticed the first death. Their members have left
// even if the oldest node, which would have called OnLeft, is among them.
func TestPresenceOfTheOldestNodeThatIsKilledToo(t *testing.T) {
	for _, order := range [][]int{{2, 0}, {0, 2}, {2, 0, 1}, {0, 1, 2}} {
		for _, apart := range []time.Duration{time.Second, 7 * time.Second, 13700 * time.Millisecond, 18 * time.Second} {
			t.Run(fmt.Sprint(order, " ", apart), func(t *testing.T) {
				inHalls(t, 4, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
					for i, n := range nodes {
						n.connect(fmt.Sprint("of ", i))
						n.connect(fmt.Sprint("comes back from ", i))
					}
					synctest.Wait()
					book.take()
					var gone []string
					var young []*hallNode
					for _, i := range order {
						nodes[i].kill()
						gone = append(gone, fmt.Sprint("-of ", i))
						young = append(young, newHallOn(t, bus, book))
						young[0].connect(fmt.Sprint("comes back from ", i))
						time.Sleep(apart)
					}
					time.Sleep(30*time.Second - apart)
					require.ElementsMatch(t, gone, book.take())
					for _, n := range append(young, nodes[3]) {
						require.Len(t, n.members(), 8-len(order))
					}
					for _, n := range young {
						n.end()
					}
				})
			})
		}
	}
}

// The members of a node that shuts down can connect to another node within the grace period.
func TestPresenceOfANodeThatShutsDown(t *testing.T) {
	inHalls(t, 3, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		leaving := newHallOn(t, bus, book)
		time.Sleep(time.Minute)
		leaving.connect("a")
		leaving.connect("b")
		book.take()
		leaving.end()
		time.Sleep(4 * time.Second)
		nodes[0].connect("b")
		require.Equal(t, []string{"a", "b"}, nodes[1].members())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"b"}, nodes[1].members())
		require.Equal(t, []string{"-a"}, book.take())
	})
}

// A node that cannot reach the others keeps their members. When it can, the others have its
// members again.
func TestPresenceOfANodeThatIsCutOff(t *testing.T) {
	for name, away := range map[string]time.Duration{"shortly": 8 * time.Second, "for long": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
				nodes[0].connect("a")
				nodes[1].connect("b")
				synctest.Wait()
				nodes[0].bus.Cut(true)
				time.Sleep(away)
				nodes[1].connect("c")
				nodes[0].bus.Cut(false)
				time.Sleep(10 * time.Second)
				for _, n := range nodes {
					require.ElementsMatch(t, []string{"a", "b", "c"}, n.members())
				}
				require.Equal(t, []string{"a", "b", "c"}, book.present(), "%v", book.take())
			})
		})
	}
}

// presenceRun is a random history of clients, on nodes that start, shut down and are killed.
type presenceRun struct {
	t         *testing.T
	rng       *rand.Rand
	bus       *eventlogtest.SharedBus
	nodes     []*hallNode
	followers map[*hallNode]*listFollower
	book      *guestBook
	sockets   []presentSocket
	disturb   func(*hallNode)
}

type presentSocket struct {
	*rawClient
	id   string
	node *hallNode
}

func (r *presenceRun) start(n *hallNode) {
	if r.disturb != nil {
		r.disturb(n)
	}
	r.nodes = append(r.nodes, n)
	r.followers[n] = follow(n)
}

func (r *presenceRun) arrive(id string) {
	n := r.nodes[r.rng.IntN(len(r.nodes))]
	r.sockets = append(r.sockets, presentSocket{n.connect(id), id, n})
	synctest.Wait()
}

// leave closes a random socket and returns the id of its client.
func (r *presenceRun) leave() (id string) {
	if len(r.sockets) == 0 {
		return "nobody"
	}
	i := r.rng.IntN(len(r.sockets))
	s := r.sockets[i]
	r.sockets = slices.Delete(r.sockets, i, i+1)
	s.drop()
	return s.id
}

// killOne kills a node, but not at the very moment at which it learns of a change: a hook that it
// was about to call would not be called by another node.
func (r *presenceRun) killOne() {
	r.pause(100 * time.Millisecond)
	synctest.Wait()
	i := r.rng.IntN(len(r.nodes))
	n := r.nodes[i]
	r.nodes = slices.Delete(r.nodes, i, i+1)
	r.followers[n].stop()
	n.kill()
	var displaced []string
	r.sockets = slices.DeleteFunc(r.sockets, func(s presentSocket) bool {
		if s.node == n {
			displaced = append(displaced, s.id)
		}
		return s.node == n
	})
	r.start(newHallOn(r.t, r.bus, r.book))
	for _, id := range displaced { // most come back
		if r.rng.IntN(4) > 0 {
			r.arrive(id)
		}
	}
}

// pause waits for a random number of nanoseconds, so that nothing happens at the same time as a
// timer of a node.
func (r *presenceRun) pause(most time.Duration) { time.Sleep(time.Duration(r.rng.Int64N(int64(most)))) }

func (r *presenceRun) step() {
	switch n := r.rng.IntN(100); {
	case n < 35:
		r.arrive(fmt.Sprint("client ", r.rng.IntN(40)))
	case n < 60:
		r.leave()
	case n < 80: // a move or a reload
		id := r.leave()
		r.pause(5 * time.Second)
		r.arrive(id)
	case n < 99:
		r.pause(8 * time.Second)
	default:
		r.killOne()
	}
}

// truth returns the clients that are connected.
func (r *presenceRun) truth() []string {
	ids := []string{}
	for _, s := range r.sockets {
		ids = append(ids, s.id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (r *presenceRun) check() {
	r.t.Helper()
	want := r.truth()
	for i, n := range r.nodes {
		require.ElementsMatch(r.t, want, n.members(), "node %d", i)
		require.Equal(r.t, want, r.followers[n].list(), "feed of node %d", i)
		require.NotContains(r.t, r.followers[n].take(), "impossible")
	}
}

func (r *presenceRun) end() {
	for n, f := range r.followers {
		f.stop()
		<-f.done
		n.bus.Cut(false)
		n.end()
	}
}

func presenceRuns(t *testing.T, steps int, disturb func(seed uint64) func(*hallNode), test func(r *presenceRun)) {
	t.Helper()
	seeds := 1 // PRESENCE_RUNS plays more
	if text := os.Getenv("PRESENCE_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		seeds = n
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &presenceRun{
					t: t, rng: rand.New(rand.NewPCG(seed, 7)), bus: eventlogtest.NewSharedBus(), book: &guestBook{},
					followers: map[*hallNode]*listFollower{},
				}
				if disturb != nil {
					r.disturb = disturb(seed)
				}
				t.Cleanup(r.end)
				for range 3 {
					r.start(newHallOn(t, r.bus, r.book))
				}
				time.Sleep(time.Minute)
				for range steps {
					r.step()
				}
				for _, n := range r.nodes {
					n.bus.Disturb(nil)
				}
				time.Sleep(30 * time.Second)
				r.check()
				test(r)
			})
		})
	}
}

// After random connections, moves, reloads and deaths, the calls of OnJoined minus those of OnLeft
// are the members.
func TestPresenceOfARandomHistory(t *testing.T) {
	t.Parallel()
	presenceRuns(t, 1000, nil, func(r *presenceRun) {
		require.Equal(r.t, r.truth(), append([]string{}, r.book.present()...))
	})
}

// If the bus loses, delays and reorders messages, the lists become correct later.
func TestPresenceOverABadBus(t *testing.T) {
	t.Parallel()
	presenceRuns(t, 300, func(seed uint64) func(*hallNode) {
		var mu sync.Mutex // nodes broadcast at the same time
		rng := rand.New(rand.NewPCG(seed, 11))
		return func(n *hallNode) {
			n.bus.Disturb(func(string, []byte) eventlogtest.Fate {
				mu.Lock()
				defer mu.Unlock()
				return eventlogtest.Fate{Drop: rng.IntN(10) == 0, Delay: time.Duration(rng.IntN(300)) * time.Millisecond}
			})
		}
	}, func(r *presenceRun) {
		last := map[string]string{} // hook of each client
		for _, line := range r.book.take() {
			last[line[1:]] = line[:1]
		}
		var wrong []string // whose last call was the other one: two messages were lost just then
		for id, hook := range last {
			if (hook == "+") != slices.Contains(r.truth(), id) {
				wrong = append(wrong, id)
			}
		}
		require.LessOrEqual(r.t, len(wrong), 1, "%v", wrong)
		for _, id := range r.truth() {
			require.Contains(r.t, last, id, "OnJoined was called")
		}
	})
}
