package durableobject_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// A client whose node was killed connects to a new node or to another one, at any time while the
// nodes notice the death one after another. The calls of OnJoined minus those of OnLeft are then
// 1, and 0 after the client has left. The client does not connect at the very moment at which a
// node decides that it has left.
func TestPresenceOfAClientThatComesBackWhileItsNodeIsTakenForDead(t *testing.T) {
	for _, toNew := range []bool{true, false} {
		t.Run(fmt.Sprint("to a new node ", toNew), func(t *testing.T) {
			t.Parallel()
			for after := 12*time.Second + 100*time.Millisecond; after < 26*time.Second; after += 250 * time.Millisecond {
				t.Run(after.String(), func(t *testing.T) {
					inHalls(t, 4, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
						nodes[1].connect("a")
						synctest.Wait()
						nodes[1].kill()
						time.Sleep(after)
						young := newHallOn(t, bus, book)
						to := nodes[2]
						if toNew {
							to = young
						}
						c := to.connect("a")
						time.Sleep(30 * time.Second)
						require.Equal(t, []string{"a"}, book.present(), "%v", book.take())
						for _, n := range []*hallNode{nodes[0], nodes[2], nodes[3], young} {
							require.Equal(t, []string{"a"}, n.members())
						}
						c.drop()
						time.Sleep(30 * time.Second)
						require.Empty(t, book.present(), "%v", book.take())
						young.end()
					})
				})
			}
		})
	}
}

// A client whose node was killed connects to another node. It leaves while the oldest node, which
// would have called OnLeft, is killed too. Another node then calls it, once.
func TestPresenceOfAClientThatLeavesWhileNodesAreTakenForDead(t *testing.T) {
	for killed := 14 * time.Second; killed <= 22*time.Second; killed += time.Second {
		for left := 4 * time.Second; left <= 32*time.Second; left += 2 * time.Second {
			t.Run(fmt.Sprint(killed, " ", left), func(t *testing.T) {
				inHalls(t, 4, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
					nodes[1].connect("a")
					synctest.Wait()
					nodes[1].kill()
					c := nodes[3].connect("a")
					time.Sleep(100 * time.Millisecond) // or the oldest would be killed as it decides
					for at := time.Duration(0); at < 80*time.Second; at += time.Second {
						if at == killed {
							nodes[0].kill()
						}
						if at == left {
							c.drop()
						}
						time.Sleep(time.Second)
					}
					require.Equal(t, []string{"+a", "-a"}, book.take())
					require.Empty(t, nodes[2].members())
				})
			})
		}
	}
}

// A client connects to a node that received the claims of the dead node after the others had
// called OnLeft. That node does not start at the very moment at which they do.
func TestPresenceOfAClientThatIsLearnedOfTooLate(t *testing.T) {
	t.Parallel()
	for started := 16802 * time.Millisecond; started < 17200*time.Millisecond; started += 5 * time.Millisecond {
		for _, after := range []time.Duration{300 * time.Millisecond, 600 * time.Millisecond, 1500 * time.Millisecond} {
			t.Run(fmt.Sprint(started, " ", after), func(t *testing.T) {
				inHalls(t, 3, func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
					nodes[1].connect("a")
					synctest.Wait()
					nodes[1].kill()
					time.Sleep(started)
					young := newHallOn(t, bus, book)
					young.bus.Disturb(func(_ string, data []byte) (f eventlogtest.Fate) {
						if bytes.Contains(data, []byte(`"of":`)) {
							f.Delay = 200 * time.Millisecond
						}
						return f
					})
					time.Sleep(after)
					young.connect("a")
					time.Sleep(30 * time.Second)
					require.Equal(t, []string{"a"}, book.present(), "%v", book.take())
					require.Equal(t, []string{"a"}, young.members())
					young.end()
				})
			})
		}
	}
}

// OnLeft is called once for a client that leaves two nodes at the same time.
func TestPresenceOfAClientThatLeavesTwoNodesAtOnce(t *testing.T) {
	inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
		for range 200 {
			first := nodes[0].connect("a")
			synctest.Wait()
			second := nodes[1].connect("a")
			synctest.Wait()
			first.drop()
			second.drop()
			time.Sleep(10 * time.Second)
			require.Equal(t, []string{"+a", "-a"}, book.take())
		}
	})
}
