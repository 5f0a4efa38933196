package durableobject_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// sendAway are the ways to send a client with the tag "x" away.
var sendAway = map[string]func(t *testing.T, n *hallNode){
	"disconnected": func(t *testing.T, n *hallNode) {
		t.Helper()
		_, err := n.halls.Disconnect(t.Context(), durableobject.Who{Tag: "x"}, 4403, "banned")
		require.NoError(t, err)
	},
	"revoked": func(t *testing.T, n *hallNode) {
		t.Helper()
		require.NoError(t, n.halls.Revoke(t.Context(), durableobject.Who{Tag: "x"}, time.Now().Add(time.Hour)))
	},
}

// A client that is sent away leaves without the grace, whether its sockets are open or have just
// closed. Others keep theirs.
func TestPresenceOfAClientThatIsSentAway(t *testing.T) {
	for name, send := range sendAway {
		t.Run(name, func(t *testing.T) {
			inHall(t, durableobject.PresenceOptions{}, func(t *testing.T, n *hallNode, book *guestBook) {
				n.connect("a", withTags("x"))
				n.connect("a", withTags("x"))
				n.connect("in the grace", withTags("x")).drop()
				n.connect("b").drop()
				n.connect("c")
				require.ElementsMatch(t, []string{"+a", "+in the grace", "+b", "+c"}, book.take())
				send(t, n)
				require.ElementsMatch(t, []string{"b", "c"}, n.members())
				require.ElementsMatch(t, []string{"-a", "-in the grace"}, book.take())
				time.Sleep(10 * time.Second)
				require.Equal(t, []string{"c"}, n.members())
				require.Equal(t, []string{"-b"}, book.take())
				if name == "disconnected" { // it may come back
					n.connect("a", withTags("x"))
					require.Equal(t, []string{"+a"}, book.take())
				}
			})
		})
	}
}

// A socket that is closed in another way has the grace, also after its client was sent away once.
func TestPresenceOfAClientThatComesBackAfterItWasSentAway(t *testing.T) {
	inHall(t, durableobject.PresenceOptions{}, func(t *testing.T, n *hallNode, book *guestBook) {
		n.connect("a", withTags("x"))
		sendAway["disconnected"](t, n)
		require.Equal(t, []string{"+a", "-a"}, book.take())
		c := n.connect("a", withTags("x"))
		require.Equal(t, []string{"+a"}, book.take())
		c.drop()
		require.Equal(t, []string{"a"}, n.members())
		require.Empty(t, book.take())
	})
}

// A client with sockets on several nodes, and in the grace on one, leaves all of them; OnLeft is
// called once.
func TestPresenceOfAClientThatIsSentAwayFromAllNodes(t *testing.T) {
	for name, send := range sendAway {
		t.Run(name, func(t *testing.T) {
			inHalls(t, 3, func(t *testing.T, _ *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook) {
				nodes[0].connect("a", withTags("x"))
				synctest.Wait()
				nodes[1].connect("a", withTags("x"))
				nodes[2].connect("a", withTags("x")).drop()
				nodes[2].connect("b")
				require.ElementsMatch(t, []string{"+a", "+b"}, book.take())
				send(t, nodes[1])
				time.Sleep(time.Second) // for the messages of the nodes
				for _, n := range nodes {
					require.Equal(t, []string{"b"}, n.members())
				}
				require.Equal(t, []string{"-a"}, book.take())
				time.Sleep(time.Minute)
				require.Empty(t, book.take())
			})
		})
	}
}
