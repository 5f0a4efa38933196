package durableobject_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/token"
)

func withTokenID(id string) tokenOption { return func(p *token.Payload) { p.ID = id } }

// subjectOf is an Options.Subject that reads the attachment.
func subjectOf(p *token.Payload) string { return strings.Trim(string(p.Att), `"`) }

// accepts reports whether a client is accepted, and otherwise requires that it is refused with
// status.
func (f *fixture) accepts(status int, channel string, opts ...tokenOption) bool {
	f.t.Helper()
	_, err := f.dial(url.Values{"id": {"visitor"}, "token": {sign(f.t, channel, opts...)}})
	if err != nil {
		require.ErrorContains(f.t, err, fmt.Sprintf("status %d", status))
	}
	return err == nil
}

// crowd connects clients that differ in everything that selectors can select.
func crowd(f *fixture) map[string]*rawClient {
	dial := func(id, channel string, opts ...tokenOption) *rawClient {
		c, err := f.dial(url.Values{"id": {id}, "token": {sign(f.t, channel, opts...)}})
		require.NoError(f.t, err)
		return c
	}
	defer synctest.Wait() // a client knows that it is open before the namespace does
	return map[string]*rawClient{
		"ann":       dial("a", "room", withAtt(`"ann"`), withTags("staff", "x"), withTokenID("t1")),
		"ann again": dial("b", "room", withAtt(`"ann"`), withTags("x"), withTokenID("t2")),
		"ann away":  dial("a", "away", withAtt(`"ann"`), withTags("staff"), withTokenID("t3")),
		"bob":       dial("c", "room", withAtt(`"bob"`)),
	}
}

// selectors returns selectors with the clients of the crowd that they select. The clients are
// connected at second 0.
func selectors(now time.Time) map[string]struct {
	who  durableobject.Who
	want []string
} {
	return map[string]struct {
		who  durableobject.Who
		want []string
	}{
		"channel":           {durableobject.Who{Channel: "room"}, []string{"ann", "ann again", "bob"}},
		"subject":           {durableobject.Who{Subject: "ann"}, []string{"ann", "ann again", "ann away"}},
		"id":                {durableobject.Who{ID: "a"}, []string{"ann", "ann away"}},
		"tag":               {durableobject.Who{Tag: "staff"}, []string{"ann", "ann away"}},
		"token":             {durableobject.Who{TokenID: "t2"}, []string{"ann again"}},
		"issued":            {durableobject.Who{IssuedBefore: now}, []string{"ann", "ann again", "ann away", "bob"}},
		"issued, to a user": {durableobject.Who{IssuedBefore: now, Subject: "bob"}, []string{"bob"}},
		"not issued":        {durableobject.Who{IssuedBefore: now.Add(-time.Second)}, nil},
		"all must match":    {durableobject.Who{Channel: "room", Subject: "ann", Tag: "staff"}, []string{"ann"}},
		"nobody":            {durableobject.Who{Channel: "roo"}, nil},
		"not all match":     {durableobject.Who{TokenID: "t1", Subject: "bob"}, nil},
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	for name, test := range selectors(time.Time{}) {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{Subject: subjectOf}, func(t *testing.T, f *fixture) {
				who := selectors(time.Now())[name].who
				clients := crowd(f)
				n, err := f.rooms.Disconnect(t.Context(), who, 4403, "enough")
				require.NoError(t, err)
				require.Equal(t, len(test.want), n)
				for _, name := range test.want {
					synctest.Wait()
					ce := <-clients[name].closed
					require.EqualValues(t, 4403, ce.Code)
					require.Equal(t, "enough", ce.Reason)
					delete(clients, name)
				}
				for _, c := range clients {
					require.Zero(t, c.closedWith())
				}
				n, err = f.rooms.Disconnect(t.Context(), who, 4403, "enough")
				require.NoError(t, err)
				require.Zero(t, n, "they are closed already")
			})
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, test := range selectors(time.Time{}) {
		if name == "id" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{Subject: subjectOf}, func(t *testing.T, f *fixture) {
				start := time.Now()
				clients := crowd(f)
				require.NoError(t, f.rooms.Revoke(t.Context(), selectors(start)[name].who, start.Add(time.Hour)))
				for _, name := range test.want {
					synctest.Wait()
					ce := <-clients[name].closed
					require.EqualValues(t, 1008, ce.Code)
					require.Equal(t, "Token expired", ce.Reason)
					delete(clients, name)
				}
				for _, c := range clients {
					require.Zero(t, c.closedWith())
				}
			})
		})
	}
}

// A revoked token opens no socket and replaces no token, until the revocation ends.
func TestRevokedTokenIsRefused(t *testing.T) {
	bubble(t, durableobject.Options{Subject: subjectOf}, func(t *testing.T, f *fixture) {
		ann := withAtt(`"ann"`)
		require.True(t, f.accepts(401, "room", ann, withTokenID("t1")))
		open := f.connect("open", ann, withTokenID("t2"))
		require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
		require.False(t, f.accepts(401, "room", ann, withTokenID("t1")))
		require.True(t, f.accepts(401, "room", ann, withTokenID("t3")))
		require.Equal(t, "401", open.updateToken(ann, withTokenID("t1")))
		require.Zero(t, open.closedWith(), "it goes on with the token that it has")
		require.Empty(t, open.updateToken(ann, withTokenID("t3")))
		time.Sleep(time.Hour)
		require.True(t, f.accepts(401, "room", ann, withTokenID("t1")))
	})
}

// updateToken sends a token over the open socket and returns the status of a refusal.
func (c *rawClient) updateToken(opts ...tokenOption) (status string) {
	c.t.Helper()
	tok := fmt.Sprintf("%q", sign(c.t, "room", opts...))
	c.send(`{"i":"7","p":{"u":"/updateToken","b":{"json":{"token":` + tok + `}}}}`)
	frame := c.next()
	if _, rest, refused := strings.Cut(frame, `"s":`); refused {
		status = rest[:3]
	}
	return status
}

// A revocation of the same tokens that ends earlier has no effect.
func TestRevocationIsNotCutShort(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		who := durableobject.Who{TokenID: "t1"}
		for _, until := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour} {
			require.NoError(t, f.rooms.Revoke(t.Context(), who, time.Now().Add(until)))
		}
		for range 3 {
			require.False(t, f.accepts(401, "room", withTokenID("t1")))
			time.Sleep(30 * time.Minute)
		}
	})
}

func TestSelectorsAreChecked(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		later := time.Now().Add(time.Hour)
		for name, who := range map[string]durableobject.Who{"none": {}, "subject without Options.Subject": {Subject: "ann"}} {
			_, err := f.rooms.Disconnect(t.Context(), who, 4403, "")
			require.ErrorIs(t, err, durableobject.ErrWho, name)
			require.ErrorIs(t, f.rooms.Revoke(t.Context(), who, later), durableobject.ErrWho, name)
		}
		for _, who := range []durableobject.Who{{ID: "a"}, {ID: "a", Channel: "room"}} {
			require.ErrorIs(t, f.rooms.Revoke(t.Context(), who, later), durableobject.ErrWho)
		}
		_, err := f.rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 1005, "")
		require.ErrorIs(t, err, durableobject.ErrCloseCode)
		require.ErrorContains(t, f.rooms.Revoke(t.Context(), durableobject.Who{Tag: "x"}, time.Now()), "the time has passed")
	})
}

// threeNodes runs a test on three namespaces that share a log and its bus, in a bubble.
func threeNodes(t *testing.T, test func(t *testing.T, log *eventlogtest.SharedMemory, nodes []*nodeFixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlogtest.NewSharedMemory(nil)
		nodes := []*nodeFixture{newNode(t, log), newNode(t, log), newNode(t, log)}
		test(t, log, nodes)
		for _, n := range nodes {
			n.end()
			require.NoError(t, n.handle.Close())
		}
	})
}

func TestDisconnectOverNodes(t *testing.T) {
	threeNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, nodes []*nodeFixture) {
		for _, wait := range []time.Duration{0, time.Minute} { // also when they have just started
			time.Sleep(wait)
			var gone, stay []*rawClient
			for i, n := range nodes {
				for j := range i + 1 {
					gone = append(gone, n.connect(fmt.Sprint(j), withTags("guest")))
				}
				stay = append(stay, n.connect("stays"))
			}
			synctest.Wait()
			begun := time.Now()
			n, err := nodes[1].rooms.Disconnect(t.Context(), durableobject.Who{Tag: "guest"}, 4403, "bye")
			require.NoError(t, err)
			require.Equal(t, 6, n)
			require.Less(t, time.Since(begun), time.Second)
			for _, c := range gone {
				require.Equal(t, 4403, c.closedWith())
			}
			for _, c := range stay {
				require.Zero(t, c.closedWith())
			}
		}
	})
}

// Disconnect does not wait for the senders of messages on the topic that are not nodes.
func TestMessagesOfNoNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := eventlogtest.NewSharedBus()
		here, other := bus.Open(), bus.Open()
		f := newFixture(t, durableobject.Options{Bus: here}, nil)
		time.Sleep(time.Minute)
		for _, text := range []string{`null`, `{}`, `{"kind":"x"}`, `{"kind":"beat"}`, `{"from":"ghost"}`, `[]`, ``} {
			require.NoError(t, other.Broadcast(t.Context(), "nodes", []byte(text)))
		}
		synctest.Wait()
		_, err := f.rooms.Disconnect(t.Context(), durableobject.Who{Channel: "room"}, 4403, "")
		require.NoError(t, err, "it waits for no node that is not there")
		f.end()
		require.NoError(t, here.Close())
		require.NoError(t, other.Close())
	})
}

// The error names a node that does not answer, and a lost message is repeated.
func TestDisconnectOverABusThatLosesMessages(t *testing.T) {
	threeNodes(t, func(t *testing.T, _ *eventlogtest.SharedMemory, nodes []*nodeFixture) {
		time.Sleep(time.Minute)
		for _, n := range nodes {
			n.connect("a")
		}
		synctest.Wait()
		lost := 0
		nodes[2].handle.DisturbBus(func(string, []byte) eventlogtest.Fate {
			lost++
			return eventlogtest.Fate{Drop: lost == 1}
		})
		n, err := nodes[0].rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4403, "")
		require.NoError(t, err)
		require.Equal(t, 3, n)

		nodes[2].connect("a")
		nodes[1].connect("a")
		synctest.Wait()
		nodes[2].handle.Cut(true)
		n, err = nodes[0].rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4403, "")
		require.ErrorIs(t, err, durableobject.ErrSilent)
		require.Equal(t, 1, n)
		nodes[2].handle.Cut(false)
	})
}

// Revocations are in force on all nodes at once, even if a message is lost, and on nodes that
// start later.
func TestRevokeOverNodes(t *testing.T) {
	for name, test := range map[string]struct {
		lose   bool
		within time.Duration
	}{"": {false, 0}, "messages are lost": {true, 2500 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			threeNodes(t, func(t *testing.T, log *eventlogtest.SharedMemory, nodes []*nodeFixture) {
				time.Sleep(time.Minute)
				var clients []*rawClient
				for _, n := range nodes {
					clients = append(clients, n.connect("a", withTokenID("t1")))
					if test.lose {
						n.handle.DisturbBus(func(string, []byte) eventlogtest.Fate { return eventlogtest.Fate{Drop: true} })
					}
				}
				require.NoError(t, nodes[0].rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
				time.Sleep(test.within)
				synctest.Wait()
				late := newNode(t, log)
				for _, n := range append(nodes, late) {
					require.False(t, n.accepts(401, "room", withTokenID("t1")))
					require.True(t, n.accepts(401, "room", withTokenID("t2")))
				}
				for _, c := range clients {
					require.Equal(t, 1008, c.closedWith())
				}
				late.end()
				require.NoError(t, late.handle.Close())
			})
		})
	}
}

// A node that cannot reach the bus for more than 10 s accepts no clients. Before it accepts
// clients again, it reads the revocations that it has missed.
func TestNodeThatIsCutOffFromTheBus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := eventlogtest.NewSharedBus()
		handles := []*eventlogtest.BusHandle{shared.Open(), shared.Open()}
		var nodes []*fixture
		for _, h := range handles {
			nodes = append(nodes, newFixture(t, durableobject.Options{Bus: h}, nil))
		}
		time.Sleep(time.Minute)
		open := nodes[1].connect("open", withTokenID("t2"))
		handles[1].Cut(true)
		time.Sleep(5 * time.Second)
		require.True(t, nodes[1].accepts(503, "room", withTokenID("t1")))
		time.Sleep(8 * time.Second)
		require.False(t, nodes[1].accepts(503, "room", withTokenID("t1")))
		require.Equal(t, "503", open.updateToken(withTokenID("t3")))
		require.NoError(t, nodes[0].rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
		require.Error(t, nodes[1].rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t4"}, time.Now().Add(time.Hour)))
		handles[1].Cut(false)
		time.Sleep(time.Second) // after which a bus that has failed is tried again
		require.False(t, nodes[1].accepts(401, "room", withTokenID("t1")))
		require.True(t, nodes[1].accepts(401, "room", withTokenID("t2")))
		require.Zero(t, open.closedWith())
		for i, n := range nodes {
			n.end()
			require.NoError(t, handles[i].Close())
		}
	})
}

// Namespaces of one process can act as one by sharing a bus in memory, which other namespaces use
// with a prefix.
func TestNamespacesThatShareABus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := eventlog.NewMemoryBus()
		var fixtures []*fixture
		for _, prefix := range []string{"x/", "x/", "y/"} {
			fixtures = append(fixtures, newFixture(t, durableobject.Options{Bus: eventlog.PrefixBus(bus, prefix)}, nil))
		}
		require.NoError(t, fixtures[0].rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
		synctest.Wait()
		require.False(t, fixtures[0].accepts(401, "room", withTokenID("t1")))
		require.False(t, fixtures[1].accepts(401, "room", withTokenID("t1")))
		require.True(t, fixtures[2].accepts(401, "room", withTokenID("t1")))
		for _, f := range fixtures {
			f.end()
		}
	})
}
