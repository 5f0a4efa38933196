package durableobject

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"
)

const (
	// settleDelay is how long a node that has just started listens for others before it
	// announces members, settleMax how long it waits for the others' claims.
	settleDelay = 250 * time.Millisecond
	settleMax   = 2 * time.Second
	// silentAfter is how long nothing is heard of a node that is not silent.
	silentAfter = 6 * time.Second
	// maxHooks is how many calls of OnJoined and OnLeft may wait. More are dropped.
	maxHooks = 100_000
)

// members are the clients that are connected to the nodes of a namespace, as far as this node
// knows: all claims of all nodes. A namespace without Options.Presence has none.
type members struct {
	core  *core
	nodes *nodes
	grace time.Duration
	call  func(channel string, joined bool, m Member) // runs a hook

	// mu guards everything below, and is held while a claim changes and nothing else.
	//
	//   - own has the claims of this node, and replicas those of the others. A roster has
	//     all of them.
	//   - departures are in order of time, since the grace is always the same. timer is set
	//     for the first of them.
	mu         sync.Mutex
	rosters    map[string]*roster
	own        map[memberKey]*claim
	departures []departure
	timer      *time.Timer
	begun      time.Time // when this node began to listen to the others
	settled    bool      // the claims of the other nodes are known, so far as can be
	closed     bool
	hooks      []hookCall
	calling    bool // hooks are being called

	replication
}

// departure is the end of the grace of a member, unless another round has begun by then.
type departure struct {
	at    time.Time
	key   memberKey
	round uint64
}

type hookCall struct {
	channel string
	joined  bool
	member  Member
}

func newMembers(c *core, o *PresenceOptions) *members {
	p := &members{
		core: c, nodes: c.nodes, grace: o.Grace, settled: c.nodes.alone,
		rosters: map[string]*roster{}, own: map[memberKey]*claim{},
		replication: newReplication(),
	}
	if p.grace == 0 {
		p.grace = DefaultPresenceGrace
	}
	return p
}

// arrive adds a socket.
func (p *members) arrive(ws *Websocket) {
	key := memberKey{ws.ch.name, ws.recipient}
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
		c.Sockets++
		c.ended, c.Yielding = false, false
		c.read(ws.Token())
		p.touch(key)
	})
}

// renew notes that a socket has another token.
func (p *members) renew(ws *Websocket) {
	key := memberKey{ws.ch.name, ws.recipient}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.own[key]; c != nil {
		p.change(key, func(*member) {
			c.read(ws.Token())
			p.touch(key)
		})
	}
}

// leave removes a socket.
func (p *members) leave(ws *Websocket) {
	key := memberKey{ws.ch.name, ws.recipient}
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
		c.round++
		if c.ended = p.grace < 0; !c.ended {
			p.departures = append(p.departures, departure{time.Now().Add(p.grace), key, c.round})
			p.schedule()
		}
	})
}

// schedule sets the timer for the first departure.
func (p *members) schedule() {
	if len(p.departures) == 0 || p.closed {
		return
	}
	if d := time.Until(p.departures[0].at); p.timer == nil {
		p.timer = time.AfterFunc(d, p.depart)
	} else {
		p.timer.Reset(d)
	}
}

// depart ends the grace of those whose time it is.
func (p *members) depart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	n := 0
	for ; n < len(p.departures) && !p.closed && !now.Before(p.departures[n].at); n++ {
		d := p.departures[n]
		if c := p.own[d.key]; c != nil && c.Sockets == 0 && c.round == d.round {
			p.change(d.key, func(*member) { c.ended = true })
		}
	}
	p.departures = slices.Delete(p.departures, 0, n)
	p.schedule()
}

// change changes the claims to a member, does what is to be done about it, and tells those
// who watch. It is called with mu held.
func (p *members) change(key memberKey, fn func(m *member)) {
	r := p.rosters[key.channel]
	if r == nil {
		r = &roster{members: map[Recipient]*member{}}
		p.rosters[key.channel] = r
	}
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
		if len(r.members) == 0 && len(r.watchers) == 0 {
			delete(p.rosters, key.channel)
		}
	case len(r.watchers) == 0:
	case !known:
		r.tell(PresenceJoined, m.view(key.Recipient))
	default:
		if after := m.view(key.Recipient); !reflect.DeepEqual(before, after) {
			r.tell(PresenceChanged, after)
		}
	}
}

// act does what this node has to do about its own claim.
func (p *members) act(key memberKey, m *member) {
	for range 2 { // a claim that was taken over may have to be announced
		what := m.decide(p.nodes.name)
		if !p.settled || what == nothing {
			return
		}
		p.touch(key)
		own := p.own[key]
		switch what {
		case nothing:
		case join:
			own.Announced, m.joined = true, true
			p.hook(key, true, m)
		case announce:
			own.Announced = true
		case demote:
			own.Announced = false
		case yield:
			own.Yielding = true
		case drop, dropAndBye:
			if what == dropAndBye {
				p.bye(key, m)
			}
			delete(p.own, key)
			m.remove(p.nodes.name)
			return
		}
	}
}

// hook has a hook of the channel's object called, after those that wait.
func (p *members) hook(key memberKey, joined bool, m *member) {
	if len(p.hooks) >= maxHooks {
		p.core.logger.Error("too many hooks of presence wait", "channel", key.channel)
		return
	}
	p.hooks = append(p.hooks, hookCall{key.channel, joined, m.view(key.Recipient)})
	if !p.calling && !p.closed {
		p.calling = p.nodes.soon(p.callHooks)
	}
}

// bye has OnLeft called, and tells the other nodes.
func (p *members) bye(key memberKey, m *member) {
	p.hook(key, false, m)
	if p.touch(key); !p.nodes.alone {
		p.dirty[key] = true
	}
}

// callHooks calls the hooks that wait: one after another, or those of slow objects would
// overtake each other.
func (p *members) callHooks() {
	for {
		p.mu.Lock()
		batch := p.hooks
		p.hooks = nil
		p.calling = len(batch) > 0
		p.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		var objects sync.WaitGroup
		byChannel := map[string][]hookCall{}
		for _, h := range batch {
			byChannel[h.channel] = append(byChannel[h.channel], h)
		}
		for _, calls := range byChannel {
			objects.Go(func() {
				for _, h := range calls {
					p.call(h.channel, h.joined, h.member)
				}
			})
		}
		objects.Wait()
	}
}

// settle announces the members of this node, once the claims of the others are known.
func (p *members) settle(force bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := !p.begun.IsZero() && time.Since(p.begun) >= settleDelay
	if p.settled || p.closed || !force && (!late || len(p.unsynced()) > 0) {
		return
	}
	p.settled = true
	for key := range p.own {
		p.change(key, func(*member) {})
	}
	p.notify()
}

// close ends presence: if there are no other nodes every member leaves now, and otherwise
// the others do the rest.
func (p *members) close() {
	p.mu.Lock()
	if p.timer != nil {
		p.timer.Stop()
	}
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
	p.send(context.Background())
	p.callHooks()
}

// watch returns a watcher that begins with all members.
func (p *members) watch(channel string) *watcher {
	w := newWatcher(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.fail(ErrClosed)
		return w
	}
	r := p.rosters[channel]
	if r == nil {
		r = &roster{members: map[Recipient]*member{}}
		p.rosters[channel] = r
	}
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
	r := p.rosters[channel]
	if r == nil {
		return
	}
	if delete(r.watchers, w); len(r.members) == 0 && len(r.watchers) == 0 {
		delete(p.rosters, channel)
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
