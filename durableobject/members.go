package durableobject

import (
	"container/list"
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// maxAway is how many members of an object may be in the grace period on one node. If there are more,
// the one that has been away longest leaves at once, because a client can use one token with any
// number of ids.
const maxAway = 20_000

// members has the clients that are connected to any node of a namespace, as far as this node knows.
// Its functions are called with mu held, unless their comment states otherwise or they lock it
// themselves. A namespace without Options.Presence has no members.
type members struct {
	debts

	grace time.Duration

	// These fields are guarded by replication.mu.
	//
	//   - departures has a *departure for each claim of this node without a socket, in order
	//     of time, because the grace period is the same for all. timer is set for the first.
	rosters    map[string]*roster
	departures list.List
	timer      *time.Timer
	settling   []*time.Timer // run settle
	begun      time.Time     // when this node began to listen to the others
}

// departure is the end of the grace period of a member.
type departure struct {
	at  time.Time
	key memberKey
}

func newMembers(b *base, n *nodes, o *PresenceOptions) *members {
	p := &members{grace: o.Grace, rosters: map[string]*roster{}}
	p.replication, p.hooks = newReplication(b, n), newHookQueue(b, n.soon)
	if p.grace == 0 {
		p.grace = DefaultPresenceGrace
	}
	return p
}

// arrive adds a socket of a member.
func (p *members) arrive(key memberKey, t *token.Payload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(key, func(m *member) {
		c := p.own[key]
		if c == nil {
			c = &claim{node: p.nodes.name, Since: time.Now().Round(0)}
			if len(m.claims) > 0 {
				c.Since = m.view(key.Recipient).Since
			}
			p.own[key] = c
			m.set(c)
		}
		p.stay(key, c)
		c.Sockets++
		c.ended, c.Yielding = false, false
		c.read(t)
		p.touch(key)
	})
}

// renew updates the claim to a member whose socket has another token.
func (p *members) renew(key memberKey, t *token.Payload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.own[key]; c != nil {
		p.change(key, func(*member) {
			c.read(t)
			p.touch(key)
		})
	}
}

// leave removes a socket of a member. A client that was sent away does not have the grace.
func (p *members) leave(key memberKey, sentAway bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.own[key]
	if c == nil {
		return
	}
	p.change(key, func(*member) {
		p.touch(key)
		if c.Sockets--; c.Sockets > 0 {
			return
		}
		if c.ended = sentAway || p.grace < 0; !c.ended {
			p.depart(key, c)
		}
	})
}

// depart begins the grace period of a member.
func (p *members) depart(key memberKey, c *claim) {
	away := &p.rosters[key.channel].away
	c.departing, c.away = p.departures.PushBack(&departure{time.Now().Add(p.grace), key}), away.PushBack(key)
	if away.Len() > maxAway {
		p.expire(away.Front().Value.(memberKey)) //nolint:forcetypeassert // only keys are added
	}
	p.schedule()
}

// stay removes a member from the lists of those in the grace period, if it is in them.
func (p *members) stay(key memberKey, c *claim) {
	if c.departing != nil {
		p.departures.Remove(c.departing)
		p.rosters[key.channel].away.Remove(c.away)
		c.departing, c.away = nil, nil
	}
}

// expire ends the grace period of a member that has not come back.
func (p *members) expire(key memberKey) {
	c := p.own[key]
	p.stay(key, c)
	p.change(key, func(*member) { c.ended = true })
}

// sendAway ends the grace of the members that w selects. Claims have no token ids, so a selector
// with one selects none.
func (p *members) sendAway(w *Who) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	var selected []memberKey
	for e := p.departures.Front(); e != nil; e = e.Next() {
		key := e.Value.(*departure).key //nolint:forcetypeassert // see departures
		c := p.own[key]
		if w.matches(key.Recipient, &token.Payload{Channel: key.channel, Tags: c.Tags, IssuedAt: c.Issued}) {
			selected = append(selected, key)
		}
	}
	for _, key := range selected {
		p.expire(key)
	}
}

// schedule sets the timer for the first departure.
func (p *members) schedule() {
	first := p.departures.Front()
	if first == nil || p.closed {
		return
	}
	if d := time.Until(first.Value.(*departure).at); p.timer == nil { //nolint:forcetypeassert // see departures
		p.timer = p.base.after(d, p.expireDue)
	} else {
		p.timer.Reset(d)
	}
}

// expireDue ends the grace periods that are over. It is called without mu.
func (p *members) expireDue(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for e := p.departures.Front(); e != nil && !p.closed; e = p.departures.Front() {
		d := e.Value.(*departure) //nolint:forcetypeassert // see departures
		if now.Before(d.at) {
			break
		}
		p.expire(d.key)
	}
	p.schedule()
}

// change calls fn, which changes the claims to a member. It then does what this node has to do because
// of the change, and passes the change to the watchers.
func (p *members) change(key memberKey, fn func(m *member)) {
	r := p.roster(key.channel)
	m := r.members[key.Recipient]
	if m == nil {
		m = &member{}
		r.members[key.Recipient] = m
	}
	var before Member
	known := len(m.claims) > 0
	if known {
		before = m.view(key.Recipient)
	}
	fn(m)
	if len(m.claims) > 0 {
		p.act(key, m)
		if c := p.own[key]; c != nil {
			c.Joined = m.joined
		}
	}
	switch {
	case len(m.claims) == 0:
		delete(r.members, key.Recipient)
		if known {
			r.tell(PresenceLeft, before)
		}
		p.tidy(key.channel, r)
	case len(r.watchers) == 0:
	case !known:
		r.tell(PresenceJoined, m.view(key.Recipient))
	default:
		if after := m.view(key.Recipient); !reflect.DeepEqual(before, after) {
			r.tell(PresenceChanged, after)
		}
	}
}

// roster returns the roster of a channel, and creates it if there is none.
func (p *members) roster(channel string) *roster {
	r := p.rosters[channel]
	if r == nil {
		r = &roster{members: map[Recipient]*member{}}
		p.rosters[channel] = r
	}
	return r
}

// tidy removes a roster without members and watchers.
func (p *members) tidy(channel string, r *roster) {
	if len(r.members) == 0 && len(r.watchers) == 0 {
		delete(p.rosters, channel)
	}
}

// act does what this node has to do about its own claim.
func (p *members) act(key memberKey, m *member) {
	for range 2 { // a claim that was taken over may have to be announced
		what := m.decide(p.nodes.name, p.isGone)
		if !p.settled || what == doNothing {
			return
		}
		p.touch(key)
		own := p.own[key]
		switch what {
		case doNothing:
		case doJoin:
			own.Announced, m.joined = true, true
			p.join(key, own, m)
		case doAnnounce:
			own.Announced = true
		case doDemote:
			own.Announced = false
		case doYield:
			own.Yielding = true
		case doDrop, doDropAndBye:
			if what == doDropAndBye {
				p.bye(key, m, own.Joining)
			}
			p.stay(key, own)
			delete(p.own, key)
			m.remove(p.nodes.name)
			return
		}
	}
}

// bye queues a call of OnLeft, and the message to the other nodes that the member has left.
func (p *members) bye(key memberKey, m *member, joining bool) {
	last := m.view(key.Recipient)
	p.owe(key, last, joining)
	if p.touch(key); !p.nodes.alone {
		p.dirty[key] = last.Since
	}
}

// close ends presence. If there are no other nodes, every member leaves now. Otherwise the other
// nodes remove those that do not come back to one of them. close returns when all hooks have returned
// and the last changes were sent to the other nodes, which may take busTimeout before and after that.
func (p *members) close() {
	p.mu.Lock()
	p.stopTimers()
	if len(p.nodes.others()) == 0 {
		p.settled = true
		for key, c := range p.own {
			p.change(key, func(*member) { c.Sockets, c.ended = 0, true })
		}
	}
	p.closed = true
	for _, r := range p.rosters {
		for w := range r.watchers {
			w.fail(ErrClosed)
		}
	}
	p.mu.Unlock()
	var ending sync.WaitGroup
	ending.Go(p.hooks.finish)
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	p.send(ctx)
	ending.Wait()
	ctx, cancel = context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	p.send(ctx) // that the hooks have returned
}

// stopTimers stops all timers, which would keep the namespace in memory.
func (p *members) stopTimers() {
	timers := slices.Concat(p.settling, []*time.Timer{p.timer})
	for _, r := range p.replicas {
		timers = append(timers, r.dropping)
	}
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
}

// watch returns a watcher that begins with all members.
func (p *members) watch(channel string) *watcher {
	w := newWatcher(&p.mu)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.fail(ErrClosed)
		return w
	}
	r := p.roster(channel)
	if r.watchers == nil {
		r.watchers = map[*watcher]struct{}{}
	}
	r.watchers[w] = struct{}{}
	for recipient, m := range r.members {
		w.add(PresenceChange{PresenceJoined, m.view(recipient)}, len(r.members))
	}
	return w
}

func (p *members) unwatch(channel string, w *watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.rosters[channel]; r != nil {
		delete(r.watchers, w)
		p.tidy(channel, r)
	}
}

func (p *members) list(channel string) []Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rosters[channel]
	if r == nil {
		return nil
	}
	list := make([]Member, 0, len(r.members))
	for recipient, m := range r.members {
		list = append(list, m.view(recipient))
	}
	return list
}

func (p *members) count(channel string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.rosters[channel]; r != nil {
		return len(r.members)
	}
	return 0
}
