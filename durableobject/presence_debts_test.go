package durableobject_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// stageNode is a node whose hooks can be made to block.
type stageNode struct {
	*foyerNode
	bus  *eventlogtest.BusHandle
	mu   sync.Mutex
	hold map[string]chan struct{} // by hook
}

// stage has several nodes and a record of their hooks: "1+" means that OnJoined of node 1 has
// returned.
type stage struct {
	nodes []*stageNode
	mu    sync.Mutex
	lines []string
}

func (s *stage) newNode(t *testing.T, bus *eventlogtest.SharedBus) {
	t.Helper()
	n := &stageNode{bus: bus.Open(), hold: map[string]chan struct{}{}}
	name := len(s.nodes)
	hook := func(sign string) func(string) {
		return func(string) {
			n.mu.Lock()
			held := n.hold[sign]
			n.mu.Unlock()
			if held != nil {
				<-held
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lines = append(s.lines, fmt.Sprint(name, sign))
		}
	}
	n.foyerNode = newFoyerNode(t, durableobject.Options{Bus: n.bus}, foyer{joined: hook("+"), left: hook("-")})
	s.nodes = append(s.nodes, n)
}

// waits makes a hook of the first node block until the end of the test.
func (s *stage) waits(hook string) {
	n := s.nodes[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hold[hook] = make(chan struct{})
}

// leaves makes a client connect to the first node and disconnect. After the grace period OnLeft
// blocks there.
func (s *stage) leaves() {
	c := s.nodes[0].connectTo("room", "a")
	synctest.Wait()
	s.waits("-")
	c.drop()
}

// take returns the hooks that have returned since the last call.
func (s *stage) take() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	s.lines = nil
	return lines
}

// A hook that was running when its node was killed is called on another node at least once.
func TestPresenceHooksOfANodeThatIsKilled(t *testing.T) {
	tests := map[string]struct {
		play func(s *stage) // until the first node is killed
		want string         // hooks of another node after that
		back bool           // the client is at another node then
	}{
		"while OnJoined runs": {func(s *stage) {
			s.waits("+")
			s.nodes[0].connectTo("room", "a")
		}, "+-", false},
		"while OnJoined runs, and the client comes to another node too": {func(s *stage) {
			s.waits("+")
			s.nodes[0].connectTo("room", "a")
			synctest.Wait()
			s.nodes[2].connectTo("room", "a")
		}, "+", true},
		"while OnLeft runs": {func(s *stage) {
			s.leaves()
			time.Sleep(6 * time.Second)
		}, "-", false},
		"while both wait": {func(s *stage) {
			s.waits("+")
			c := s.nodes[0].connectTo("room", "a")
			c.drop()
			time.Sleep(6 * time.Second)
		}, "+-", false},
		"while OnLeft runs, and the client is back elsewhere": {func(s *stage) {
			s.leaves()
			time.Sleep(6 * time.Second)
			s.nodes[2].connectTo("room", "a")
			synctest.Wait()
			s.take()
		}, "-+", true},
		"after HookTimeout": {func(s *stage) {
			s.leaves()
			time.Sleep(time.Minute)
		}, "", false},
		"after OnLeft": {func(s *stage) {
			s.nodes[0].connectTo("room", "a").drop()
			time.Sleep(6 * time.Second)
		}, "", false},
	}
	for name, test := range tests {
		for _, late := range []bool{false, true} {
			if late && test.back {
				continue
			}
			t.Run(fmt.Sprint(name, ", to a node that has just started: ", late), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s, bus := &stage{}, eventlogtest.NewSharedBus()
					for range 3 {
						s.newNode(t, bus)
						time.Sleep(time.Second)
					}
					test.play(s)
					synctest.Wait()
					s.take()
					if late {
						s.newNode(t, bus)
						time.Sleep(time.Second)
					}
					n := s.nodes[0]
					n.bus.Cut(true)
					if late {
						s.nodes[1].bus.Cut(true) // only the youngest know
						s.nodes[2].bus.Cut(true)
					}
					time.Sleep(time.Minute)
					by := 1
					if late {
						by = 3
					}
					var lines []string
					for _, hook := range test.want {
						lines = append(lines, fmt.Sprint(by, string(hook)))
					}
					require.Equal(t, lines, s.take())
					for _, hold := range n.hold {
						close(hold)
					}
					for _, n := range s.nodes {
						n.end()
						require.NoError(t, n.bus.Close())
					}
				})
			})
		}
	}
}

// The hooks of a node that shuts down are not called again by other nodes.
func TestPresenceHooksOfANodeThatShutsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, bus := &stage{}, eventlogtest.NewSharedBus()
		for range 3 {
			s.newNode(t, bus)
			time.Sleep(time.Second)
		}
		s.nodes[0].connectTo("room", "a").drop()
		time.Sleep(5*time.Second + time.Millisecond)
		s.nodes[0].end()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"0+", "0-"}, s.take())
		for _, n := range s.nodes[1:] {
			n.end()
		}
		for _, n := range s.nodes {
			require.NoError(t, n.bus.Close())
		}
	})
}
