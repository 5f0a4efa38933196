package durableobject

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

const (
	// settleDelay is how long a node that has just started listens for others before it
	// announces members, settleMax how long it waits for the others' claims.
	settleDelay = 250 * time.Millisecond
	settleMax   = 2 * time.Second
)

// connect registers the handlers of the messages of other nodes.
func (p *members) connect() {
	n := p.nodes
	if n.alone {
		return
	}
	receive := func(kind string, fn func(from string, c *claimsData)) {
		n.handlers[kind] = func(from string, data json.RawMessage) {
			c := &claimsData{}
			if len(data) == 0 || !n.decode(kind, from, data, c) { // a node without presence sends none
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if !p.closed {
				fn(from, c)
			}
		}
	}
	n.beatData = p.beat
	n.onGone = p.gone
	n.onListening = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.begun = time.Now(); p.closed {
			return
		}
		p.settling = append(p.settling,
			p.base.after(settleDelay, func(context.Context) { p.settle(false) }),
			p.base.after(settleMax, func(context.Context) { p.settle(true) }))
	}
	receive(kindBeat, p.heardBeat)
	receive(kindChanged, p.changed)
	receive(kindClaims, p.received)
	receive(kindWanted, func(from string, c *claimsData) {
		if c.Of != "" && c.Of != n.name {
			p.pass(from, c.Of)
			return
		}
		// Beats do not name nodes that have been silent for nodeTimeout, so a node that has
		// just started does not ask for their claims, although they may still count. They are
		// passed without a request, and so are those of nodes that may reach nodeTimeout
		// before their names arrive.
		silent := p.nodes.unheard(silentAfter)
		for name, r := range p.replicas {
			if r.gone || slices.Contains(silent, name) {
				p.pass(from, name)
			}
		}
		p.wanted = true
		p.kick()
	})
	receive(kindBuried, func(_ string, c *claimsData) { p.rise(c.Generation) })
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

// replica returns the replica of a node that has sent a message, or that another node has named. It is
// not synced if the node is new, or has begun another generation.
func (p *members) replica(node string, generation uint64) *replica {
	r := p.replicas[node]
	if r == nil {
		r = &replica{generation: generation, claims: map[memberKey]*claim{}, owed: map[memberKey]*debt{}}
		p.replicas[node] = r
	}
	if r.dropping != nil {
		r.dropping.Stop()
		r.dropping = nil
	}
	if r.gone {
		r.gone = false
		p.returned()
	}
	if r.generation < generation {
		r.generation, r.seq, r.heard, r.synced, r.early = generation, 0, 0, false, nil
		r.transmissions, r.applying = nil, nil
	}
	if died, found := p.buried[node]; found {
		if delete(p.buried, node); died >= generation {
			p.reply(message{Kind: kindBuried, To: node}, claimsData{Generation: generation})
		}
	}
	return r
}

// reply sends a message, without waiting for it.
func (p *members) reply(m message, c claimsData) {
	p.nodes.soon(func() { p.post(p.base.ctx, m, &c) })
}

// want asks the node to, or all nodes if to is empty, for all claims of the node of, or for its own
// claims if of is empty. It asks for the claims of a replica once in wantAgain.
func (p *members) want(r *replica, to, of string) {
	if now := time.Now(); now.Sub(r.askedAt) >= wantAgain {
		r.askedAt = now
		p.reply(message{Kind: kindWanted, To: to}, claimsData{Of: of})
	}
}

// heardBeat asks for claims that are missing: at the first beat after a gap, or at the second beat with
// a number that was not reached, because changes may arrive after the beat.
func (p *members) heardBeat(node string, c *claimsData) {
	r := p.replica(node, c.Generation)
	if r.doubted {
		r.doubted, r.synced = false, false
	}
	switch {
	case r.generation > c.Generation:
	case !r.synced, len(r.early) > 0, r.seq < r.heard:
		p.want(r, node, "")
	}
	r.heard = c.Seq
	for name, h := range c.Nodes {
		if _, died := p.buried[name]; died || name == p.nodes.name || !p.nodes.learn(name, h) {
			continue
		}
		// This node has received no message of it. Other nodes may have its claims.
		r := p.replicas[name]
		if r == nil {
			r = p.replica(name, 0)
		}
		if !r.synced && !r.gone {
			p.want(r, "", name)
		}
	}
}

// pass sends the claims of another node to a node that needs them, unless it is doing so already.
func (p *members) pass(to, node string) {
	r, key := p.replicas[node], passage{to, node}
	if r == nil || !r.synced && !r.gone || r.applying != nil || p.passing[key] {
		return
	}
	list := p.transmit(r.claims, r.owed, claimsData{Generation: r.generation, Seq: r.seq, Of: node})
	p.passing[key] = p.nodes.soon(func() {
		for i := range list {
			if p.base.ctx.Err() == nil {
				p.post(p.base.ctx, message{Kind: kindClaims, To: to}, &list[i])
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.passing, key)
	})
}

// changed applies changes in their order.
func (p *members) changed(node string, c *claimsData) {
	r := p.replica(node, c.Generation)
	switch {
	case r.generation > c.Generation || r.synced && c.Seq <= r.seq:
		return
	case !r.synced && len(r.early) >= maxEarly:
		clear(r.early) // all claims are asked for anyway
	case len(r.early) >= maxEarly:
		r.synced = false
	}
	if r.early == nil {
		r.early = map[uint64][]wireClaim{}
	}
	r.early[c.Seq] = c.List
	switch {
	case r.applying != nil: // replace calls catchUp
	case r.synced:
		p.catchUp(node, r)
	default:
		p.want(r, node, "")
	}
}

// catchUp applies the early changes that follow without a gap.
func (p *members) catchUp(node string, r *replica) {
	for list, found := r.early[r.seq+1]; found; list, found = r.early[r.seq+1] {
		r.seq++
		delete(r.early, r.seq)
		for i := range list {
			p.apply(node, r, &list[i])
		}
	}
}

// received collects the parts of a transmission of all claims of a node. When it is complete, its claims
// replace those that were known. That is done on another goroutine, because the bus must not wait.
func (p *members) received(from string, c *claimsData) {
	node, gone := from, false
	if c.Of != "" {
		node = c.Of
		r := p.replicas[node]
		_, died := p.buried[node]
		if died || r != nil && (r.synced || r.gone) {
			return // they are known, or no longer needed
		}
		gone = !p.nodes.knows(node) // its members remain until it is decided which of them have left
	}
	r := p.replica(node, c.Generation)
	if r.generation > c.Generation || r.synced && c.Seq <= r.seq || r.applying != nil || c.Part < 0 || c.Part >= c.Parts {
		return
	}
	t := r.transmissions[from]
	switch {
	case t == nil || t.sent < c.Sent:
		t = &transmission{sent: c.Sent, seq: c.Seq, passed: from != node, parts: map[int][]wireClaim{}}
		if r.transmissions == nil {
			r.transmissions = map[string]*transmission{}
		}
		r.transmissions[from] = t
	case t.sent > c.Sent: // a later transmission has begun
		return
	}
	if t.parts[c.Part] = c.List; len(t.parts) == c.Parts {
		r.transmissions, r.applying, r.synced = nil, t, false
		p.nodes.soon(func() { p.replace(node, r, t, gone) })
	}
}

// replace replaces the claims of a replica with those of a transmission, in batches. If the node is
// gone, they are dropped when it is decided which members have left. It is called without mu.
func (p *members) replace(node string, r *replica, t *transmission, gone bool) {
	there := map[memberKey]bool{}
	var list []wireClaim
	for _, part := range t.parts {
		for i := range part {
			there[part[i].key()] = true
		}
		list = append(list, part...)
	}
	p.mu.Lock()
	for key, c := range r.claims {
		if !there[key] {
			// The message that the member has left was lost: otherwise the node would have
			// kept its announced claim until this node had announced its own.
			own := p.own[key]
			var ended time.Time
			if c.Announced && !c.Yielding && own != nil && !own.Announced {
				ended = c.Since
			}
			gone, _ := wireClaimOf(key, nil, nil, ended)
			list = append(list, gone)
		}
	}
	for key := range r.owed {
		if !there[key] {
			delete(r.owed, key)
		}
	}
	p.mu.Unlock()
	for batch := range slices.Chunk(list, dropBatch) {
		if !p.replaceSome(node, r, t, batch) {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isApplying(node, r, t) {
		return
	}
	r.seq, r.synced, r.applying = t.seq, true, nil
	for seq := range r.early {
		if seq <= r.seq {
			delete(r.early, seq)
		}
	}
	p.catchUp(node, r)
	if gone {
		p.setGone(0, node, r)
	}
	p.notify()
	if !p.settled && len(p.unsynced()) == 0 {
		p.nodes.soon(func() { p.settle(false) })
	}
}

// replaceSome applies claims of a transmission. It returns false if the others are no longer needed.
// It is called without mu.
func (p *members) replaceSome(node string, r *replica, t *transmission, batch []wireClaim) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isApplying(node, r, t) {
		return false
	}
	for i := range batch {
		if w := &batch[i]; !t.passed || !p.endings.has(w.key(), w.Since) {
			p.apply(node, r, w)
		}
	}
	return true
}

// isApplying reports whether the claims of a transmission are still needed.
func (p *members) isApplying(node string, r *replica, t *transmission) bool {
	return !p.closed && !r.gone && r.applying == t && p.replicas[node] == r
}

// apply replaces or removes the claim of another node to a member, as the message requires.
func (p *members) apply(node string, r *replica, w *wireClaim) {
	key := w.key()
	if delete(r.owed, key); w.Owed != nil {
		r.owed[key] = w.Owed
	}
	if w.Gone {
		delete(r.claims, key)
		p.change(key, func(m *member) {
			c := m.claim(node)
			switch {
			case w.Left:
				p.endings.add(key, w.Since)
				m.joined = false
				p.forget(key, m)
			case c != nil && !c.Announced && len(m.claims) == 1 && m.joined && p.nodes.isOldest():
				// The node that had announced the member is gone, and the last node with a claim
				// has dropped it before it could take over.
				p.bye(key, m, c.Joining)
			}
			m.remove(node)
		})
		return
	}
	c := w.claim
	c.node = node
	r.claims[key] = &c
	p.change(key, func(m *member) { m.set(&c) })
}
