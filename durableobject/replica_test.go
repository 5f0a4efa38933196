package durableobject

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/token"
)

// inMembers runs a test on the members of a node that was not started, in a bubble.
func inMembers(t *testing.T, o Options, test func(t *testing.T, p *members)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if o.Presence == nil {
			o.Presence = &PresenceOptions{}
		}
		o.Verifier, o.Bus = token.Secret("secret"), eventlog.NewMemoryBus()
		c, err := newClass(&o, func(context.Context, *class, string) (any, error) { return nil, errors.New("no objects") })
		require.NoError(t, err)
		test(t, c.members)
		require.NoError(t, c.shutdown(context.Background()))
	})
}

// hear calls the handler fn with messages, as if another node had sent them.
func (p *members) hear(fn func(from string, c *claimsData), from string, list ...claimsData) {
	for i := range list {
		p.mu.Lock()
		fn(from, &list[i])
		p.mu.Unlock()
	}
	synctest.Wait()
}

// allParts returns the messages of a transmission of n claims of a node.
func (p *members) allParts(n int, seq uint64) []claimsData {
	all := map[memberKey]*claim{}
	for i := range n {
		all[memberKey{"room", Recipient{ID: fmt.Sprint("client ", i)}}] = &claim{Since: time.Now(), Sockets: 1, Announced: true}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.transmit(all, nil, claimsData{Seq: seq})
}

// If parts of a transmission are lost, parts of another one do not complete it, in whatever order
// they arrive.
func TestTransmissionsAreNotMixed(t *testing.T) {
	const count = 2000
	for name, hear := range map[string]func(p *members, first, second []claimsData){
		"the first part is lost": func(p *members, first, second []claimsData) {
			p.hear(p.received, "other", first[1:]...)
			p.hear(p.received, "other", second...)
		},
		"the second overtakes the first": func(p *members, first, second []claimsData) {
			p.hear(p.received, "other", second[0])
			p.hear(p.received, "other", first...)
			p.hear(p.received, "other", second[1:]...)
		},
		"parts of both alternate": func(p *members, first, second []claimsData) {
			for i := range second {
				p.hear(p.received, "other", first[i], second[len(second)-1-i])
			}
		},
		"parts come twice": func(p *members, first, second []claimsData) {
			p.hear(p.received, "other", first[1], first[1], first[1], first[2])
			p.hear(p.received, "other", second...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMembers(t, Options{}, func(t *testing.T, p *members) {
				first, second := p.allParts(count, 7), p.allParts(count, 7)
				require.Greater(t, len(first), 3)
				hear(p, first, second)
				require.True(t, p.replicas["other"].synced)
				require.Equal(t, count, p.count("room"))
			})
		})
	}
}

// Two nodes pass the claims of a third one at the same time, and each transmission loses a part.
func TestTransmissionsOfTwoSendersAreNotMixed(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		first, second := p.allParts(500, 7), p.allParts(500, 7)
		for i := range second {
			first[i].Of, second[i].Of = "dead", "dead"
		}
		p.nodes.learn("dead", hearsay{Born: time.Now().UnixNano()}) // it is not known yet that it is
		p.hear(p.changed, "dead", claimsData{Seq: 5})
		p.hear(p.received, "a", first[1:]...)
		p.hear(p.received, "b", second[:len(second)-1]...)
		require.False(t, p.replicas["dead"].synced)
		p.hear(p.received, "b", second[len(second)-1])
		require.True(t, p.replicas["dead"].synced)
		require.Equal(t, 500, p.count("room"))
	})
}

// Members that are not in a complete transmission are removed, and changes that arrive while it is
// applied are applied too.
func TestTransmissionReplacesWhatWasKnown(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		p.hear(p.received, "other", p.allParts(1000, 7)...)
		require.Equal(t, 1000, p.count("room"))
		key := memberKey{"room", Recipient{ID: "late"}}
		came, _ := wireClaimOf(key, &claim{Sockets: 1}, nil, time.Time{})
		p.hear(p.changed, "other", claimsData{Seq: 10, List: []wireClaim{came}})
		require.Equal(t, 1000, p.count("room"), "it comes before its turn")
		p.hear(p.received, "other", p.allParts(400, 9)...)
		require.Equal(t, 401, p.count("room"))
	})
}

// A node that waits for another one to take over a member does not call OnLeft if the other node
// has called it.
func TestMemberThatHasLeftMeanwhile(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		p.settle(true)
		var called []hookCall
		p.hooks.call = func(h hookCall) { called = append(called, h) }
		key, since := memberKey{"room", Recipient{ID: "a"}}, time.Now()
		there, _ := wireClaimOf(key, &claim{Since: since, Sockets: 1, Joined: true}, nil, time.Time{})
		left, _ := wireClaimOf(key, nil, nil, since)
		p.hear(p.received, "other", claimsData{Seq: 1, Parts: 1, Sent: 1, List: []wireClaim{there}})
		p.mu.Lock()
		own := &claim{node: p.nodes.name, Since: since, Announced: true, ended: true}
		p.own[key] = own
		p.change(key, func(m *member) { m.set(own) })
		require.True(t, own.Yielding)
		p.mu.Unlock()
		p.hear(p.changed, "other", claimsData{Seq: 2, List: []wireClaim{left}})
		require.Zero(t, p.count("room"))
		require.Empty(t, called)
	})
}

// The bus does not wait while many claims are applied, and a caller that needs the lock does not
// wait for all of them.
func TestTransmissionIsAppliedOnAGoroutine(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		list := p.allParts(1000, 7)
		p.mu.Lock()
		for i := range list {
			p.received("other", &list[i])
		}
		require.Empty(t, p.rosters)
		p.mu.Unlock()
		synctest.Wait()
		require.Equal(t, 1000, p.count("room"))
	})
}

// No message is much larger than claimBytes, and every claim is in one.
func TestPartsAreBounded(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		att := `"` + strings.Repeat("x", maxAttBytes-2) + `"`
		for i := range 300 {
			key := memberKey{"room", Recipient{ID: fmt.Sprint("client ", i)}}
			p.own[key] = &claim{node: p.nodes.name, Sockets: 1, Att: []byte(att), Tags: []string{strings.Repeat("t", 100*i)}}
			p.dirty[key] = time.Time{}
		}
		seen := map[string]map[memberKey]bool{kindChanged: {}, kindClaims: {}}
		p.wanted = true
		for kind, list := p.outgoing(); kind != ""; kind, list = p.outgoing() {
			for _, c := range list {
				size := 0
				for i := range c.List {
					size += len(c.List[i].encoded)
					seen[kind][c.List[i].key()] = true
				}
				require.LessOrEqual(t, size, claimBytes)
			}
		}
		require.Len(t, seen[kindChanged], 300)
		require.Len(t, seen[kindClaims], 300)
		clear(p.own)
	})
}

// The number of early changes that are kept is limited. Beyond the limit all claims are requested.
func TestEarlyChangesAreBounded(t *testing.T) {
	inMembers(t, Options{}, func(t *testing.T, p *members) {
		p.hear(p.received, "other", p.allParts(10, 1)...)
		for seq := range uint64(5 * maxEarly) {
			p.hear(p.changed, "other", claimsData{Seq: seq + 3}) // 2 is lost
			require.LessOrEqual(t, len(p.replicas["other"].early), maxEarly+1)
		}
		require.False(t, p.replicas["other"].synced)
		p.hear(p.received, "other", p.allParts(20, 5*maxEarly+3)...)
		require.True(t, p.replicas["other"].synced)
		require.Equal(t, 20, p.count("room"))
	})
}

// If a node is gone for a second time, the timer of the first time does not end its members' grace
// period.
func TestGraceOfANodeThatIsGoneTwice(t *testing.T) {
	inMembers(t, Options{Presence: &PresenceOptions{Grace: time.Minute}}, func(t *testing.T, p *members) {
		p.hear(p.received, "other", p.allParts(1, 1)...)
		p.gone("other", time.Now())
		time.Sleep(30 * time.Second)
		p.hear(p.received, "other", p.allParts(1, 1)...)
		time.Sleep(25 * time.Second)
		p.gone("other", time.Now())
		time.Sleep(59 * time.Second)
		require.Equal(t, 1, p.count("room"))
		time.Sleep(2 * time.Second)
		require.Zero(t, p.count("room"))
	})
}
