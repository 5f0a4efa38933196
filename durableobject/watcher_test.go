package durableobject

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A watcher that is not read fails when too many changes wait, and then keeps nothing in memory.
func TestWatcherThatLags(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		w := p.watch("room")
		p.mu.Lock()
		joined := func(i int) {
			w.add(PresenceChange{PresenceJoined, Member{Recipient: Recipient{ID: fmt.Sprint(i)}}}, 100)
		}
		for i := range maxWaiting {
			joined(i)
		}
		require.NoError(t, w.err)
		for i := range 10 * maxWaiting {
			joined(i)
			require.LessOrEqual(t, len(w.order), maxWaiting+200)
		}
		require.Empty(t, w.order)
		require.Empty(t, w.waiting)
		p.mu.Unlock()
		_, err := w.next(t.Context())
		require.ErrorIs(t, err, ErrPresenceLag)
		p.unwatch("room", w)
	})
}

// A watcher that is not read does not fail because of any number of changes of the same members.
func TestWatcherMergesChanges(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		w := p.watch("room")
		p.mu.Lock()
		for i := range 20 * maxWaiting {
			kind := PresenceJoined
			if i%2 == 1 {
				kind = PresenceLeft
			}
			w.add(PresenceChange{kind, Member{Recipient: Recipient{ID: fmt.Sprint(i / 2 % 100)}}}, 1)
			require.LessOrEqual(t, len(w.order), maxWaiting+2)
		}
		w.add(PresenceChange{PresenceJoined, Member{Recipient: Recipient{ID: "last"}}}, 1)
		p.mu.Unlock()
		changes, err := w.next(t.Context())
		require.NoError(t, err)
		require.Len(t, changes, 1)
		p.unwatch("room", w)
	})
}

// sit adds a claim of this node without a connection.
func (p *members) sit(id string) *claim {
	key := memberKey{"room", Recipient{ID: id}}
	c := &claim{node: p.nodes.name, Sockets: 1, Since: time.Now()}
	p.own[key] = c
	p.change(key, func(m *member) { m.set(c) })
	return c
}

// departures has one entry for each member in the grace period, and none for a member that has
// returned.
func TestDeparturesOfReloads(t *testing.T) {
	inMembers(t, Options{Presence: &PresenceOptions{Grace: time.Hour}}, func(t *testing.T, p *members) {
		p.mu.Lock()
		defer p.mu.Unlock()
		key := memberKey{"room", Recipient{ID: "a"}}
		c := p.sit("a")
		for range 1000 {
			p.change(key, func(*member) { p.depart(key, c) })
			require.Equal(t, 1, p.departures.Len())
			p.change(key, func(*member) { p.stay(key, c) })
		}
		require.Zero(t, p.departures.Len())
		require.Zero(t, p.rosters["room"].away.Len())
	})
}

// A client that uses any number of ids, one after another, is at most maxAway members. Those that
// have been away longest leave first.
func TestMembersWithinTheGraceAreBounded(t *testing.T) {
	inMembers(t, Options{Presence: &PresenceOptions{Grace: time.Hour}}, func(t *testing.T, p *members) {
		p.settled = true
		p.mu.Lock()
		for i := range maxAway + 1000 {
			id := fmt.Sprint(i)
			key, c := memberKey{"room", Recipient{ID: id}}, p.sit(id)
			p.change(key, func(*member) { c.Sockets = 0; p.depart(key, c) })
		}
		there := p.sit("there")
		require.Len(t, p.rosters["room"].members, maxAway+1)
		require.NotContains(t, p.rosters["room"].members, Recipient{ID: "999"})
		require.Contains(t, p.rosters["room"].members, Recipient{ID: "1000"})
		require.Equal(t, maxAway, p.departures.Len())
		p.mu.Unlock()
		time.Sleep(2 * time.Hour)
		require.Equal(t, 1, p.count("room"))
		require.Equal(t, 1, there.Sockets)
	})
}
