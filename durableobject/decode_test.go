package durableobject_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// spokenTo runs a test on a node with presence, with a bus to which the test sends messages of
// another node.
func spokenTo(t *testing.T, test func(t *testing.T, f *fixture, book *logBook, say func(kind, data string))) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, book := eventlogtest.NewSharedBus(), &logBook{}
		own, other := bus.Open(), bus.Open()
		f := newFixture(t, durableobject.Options{Bus: own, Logger: book.logger(), Presence: &durableobject.PresenceOptions{}}, nil)
		time.Sleep(time.Minute) // it is no longer new
		test(t, f, book, func(kind, data string) {
			text := fmt.Sprintf(`{"kind":%q,"from":"other","born":1,"data":%s}`, kind, data)
			require.NoError(t, other.Broadcast(t.Context(), "nodes", []byte(text)))
			synctest.Wait()
		})
		f.end()
		require.NoError(t, own.Close())
		require.NoError(t, other.Close())
	})
}

// A message whose data cannot be decoded is logged with the node that has sent it.
func TestBadMessagesAreLogged(t *testing.T) {
	for _, kind := range []string{"revoked", "question", "answer", "beat", "hello", "claims", "claims changed", "claims wanted", "buried"} {
		t.Run(kind, func(t *testing.T) {
			spokenTo(t, func(t *testing.T, _ *fixture, book *logBook, say func(kind, data string)) {
				say("beat", `{}`)
				require.NotContains(t, book.String(), "level=WARN")
				say(kind, `["not an object"]`)
				if kind == "hello" {
					kind = "beat" // it has the same data
				}
				require.Regexp(t, `level=WARN msg="bad message of another node" kind="?`+kind+`"? node=other err=`, book.String())
			})
		})
	}
}

// A question that cannot be decoded is not answered, so it does not count as one that matched
// nothing.
func TestBadQuestionIsNotAnswered(t *testing.T) {
	spokenTo(t, func(t *testing.T, f *fixture, book *logBook, say func(kind, data string)) {
		c := f.connect("a")
		say("question", `{"id":1,"what":"disconnect","data":{"who":{"id":"a"},"code":"4000"}}`)
		book.warns(t, `msg="question of another node not answered" what=disconnect node=other`)
		require.Zero(t, c.closedWith())
		say("question", `{"id":1,"what":"disconnect","data":{"who":{"id":"a"},"code":4000}}`)
		require.Equal(t, 4000, c.closedWith(), "the question was not taken for answered")
	})
}

// An answer that cannot be decoded does not end the wait for those of other nodes.
func TestBadAnswerOfOneNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := eventlogtest.NewSharedBus()
		var handles []*eventlogtest.BusHandle
		var nodes []*fixture
		for range 2 {
			h := shared.Open()
			handles, nodes = append(handles, h), append(nodes, newFixture(t, durableobject.Options{Bus: h}, nil))
		}
		odd := shared.Open() // a node that answers at once, and badly
		answer := func(data string) {
			text := fmt.Sprintf(`{"kind":%q,"from":"odd","born":1,"data":%s}`, "answer", data)
			require.NoError(t, odd.Broadcast(t.Context(), "nodes", []byte(text)))
		}
		time.Sleep(time.Minute)
		handles[1].Disturb(func(_ string, data []byte) eventlogtest.Fate {
			if isKind(data, "answer") {
				return eventlogtest.Fate{Delay: 100 * time.Millisecond}
			}
			return eventlogtest.Fate{}
		})
		answer(`{"id":0}`) // makes it known
		nodes[1].connect("a")
		synctest.Wait()
		type result struct {
			n   int
			err error
		}
		done := make(chan result)
		go func() {
			n, err := nodes[0].rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4000, "")
			done <- result{n, err}
		}()
		synctest.Wait()
		answer(`{"id":1,"data":"many"}`)
		r := <-done
		require.Equal(t, 1, r.n)
		require.ErrorContains(t, r.err, "answer of node odd")
		for i, n := range nodes {
			n.end()
			require.NoError(t, handles[i].Close())
		}
		require.NoError(t, odd.Close())
	})
}
