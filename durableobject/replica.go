package durableobject

import (
	"maps"
	"slices"
	"time"
)

// replica returns that of a node, which is there, and begins it anew if the node has another
// life.
func (p *members) replica(node string, life uint64) *replica {
	r := p.replicas[node]
	if r == nil {
		r = &replica{life: life, claims: map[memberKey]*claim{}}
		p.replicas[node] = r
	}
	if r.gone = false; r.life < life {
		r.life, r.seq, r.heard, r.synced, r.early, r.parts = life, 0, 0, false, nil, nil
	}
	if died, found := p.buried[node]; found {
		if delete(p.buried, node); died >= life {
			p.reply(node, "buried", claims{Life: life})
		}
	}
	return r
}

func (p *members) reply(to, kind string, c claims) {
	data, _ := encodeJSON(c) // strings and times
	p.nodes.soon(func() { p.nodes.send(message{Kind: kind, To: to, Data: data}) })
}

// want asks a node for all its claims.
func (p *members) want(node string, r *replica) {
	if now := time.Now(); now.Sub(r.askedAt) >= wantAgain {
		r.askedAt = now
		p.reply(node, "claims wanted", claims{})
	}
}

// heardBeat asks for claims that are missing: at the first beat after a gap, or at the
// second one that is ahead, as changes may be later than the beat.
func (p *members) heardBeat(node string, c *claims) {
	r := p.replica(node, c.Life)
	switch {
	case r.life > c.Life:
	case !r.synced, len(r.early) > 0, r.seq < r.heard:
		p.want(node, r)
	}
	r.heard = c.Seq
	for name, h := range c.Nodes {
		if _, died := p.buried[name]; died || name == p.nodes.name || !p.nodes.learn(name, h) {
			continue
		}
		// Nothing was heard of it here. The others may have its claims.
		r := p.replicas[name]
		if r == nil {
			r = p.replica(name, 0)
		}
		if now := time.Now(); !r.synced && !r.gone && now.Sub(r.askedAt) >= wantAgain {
			r.askedAt = now
			p.reply("", "claims wanted", claims{Of: name})
		}
	}
}

// pass sends the claims of another node to one that has asked for them.
func (p *members) pass(to, node string) {
	r := p.replicas[node]
	if r == nil || !r.synced && !r.gone {
		return
	}
	for _, c := range parts(r.claims, claims{Life: r.life, Seq: r.seq, Of: node}) {
		p.reply(to, "claims", c)
	}
}

// changed applies changes in their order.
func (p *members) changed(node string, c *claims) {
	r := p.replica(node, c.Life)
	switch {
	case r.life > c.Life || r.synced && c.Seq <= r.seq:
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
	if !r.synced {
		p.want(node, r)
		return
	}
	p.catchUp(node, r)
}

// catchUp applies the changes whose turn it is.
func (p *members) catchUp(node string, r *replica) {
	for list, found := r.early[r.seq+1]; found; list, found = r.early[r.seq+1] {
		r.seq++
		delete(r.early, r.seq)
		for i := range list {
			p.apply(node, r, &list[i])
		}
	}
}

// received collects the parts of all claims of a node, and replaces those that it had.
func (p *members) received(node string, c *claims) {
	gone := false
	if c.Of != "" {
		node = c.Of
		r := p.replicas[node]
		_, died := p.buried[node]
		if died || r != nil && (r.synced || r.gone) {
			return // it is too late
		}
		gone = !p.nodes.knows(node) // the members of a node that is gone are there until it is decided
	}
	r := p.replica(node, c.Life)
	if r.life > c.Life || r.synced && c.Seq <= r.seq || c.Parts < 1 {
		return
	}
	if r.parts == nil || r.partsOf != c.Seq {
		r.parts, r.partsOf = map[int][]wireClaim{}, c.Seq
	}
	if r.parts[c.Part] = c.List; len(r.parts) < c.Parts {
		return
	}
	there := map[memberKey]bool{}
	for _, list := range r.parts {
		for i := range list {
			there[list[i].key()] = true
			p.apply(node, r, &list[i])
		}
	}
	for key := range r.claims {
		if !there[key] {
			p.apply(node, r, &wireClaim{Channel: []byte(key.channel), Subject: []byte(key.Subject), ID: []byte(key.ID), Gone: true})
		}
	}
	r.seq, r.synced, r.parts = c.Seq, true, nil
	for seq := range r.early {
		if seq <= r.seq {
			delete(r.early, seq)
		}
	}
	p.catchUp(node, r)
	if gone {
		r.gone, r.synced = true, false
		oldest, _ := p.nodes.oldest()
		p.dropAfter(0, node, r, oldest)
	}
	p.notify()
	if !p.settled && len(p.unsynced()) == 0 {
		p.nodes.soon(func() { p.settle(false) })
	}
}

// apply makes a claim of another node that which it has sent.
func (p *members) apply(node string, r *replica, w *wireClaim) {
	key := w.key()
	if w.Gone {
		delete(r.claims, key)
		p.change(key, func(m *member) {
			c := m.claim(node)
			switch {
			case w.Left: // other claims are of nodes that are gone, or will be announced
				m.joined = false
				m.claims = slices.DeleteFunc(m.claims, func(c *claim) bool {
					other := p.replicas[c.node]
					return c.node != p.nodes.name && (other == nil || other.gone)
				})
			case c != nil && !c.Announced && len(m.claims) == 1 && m.joined && p.nodes.isOldest():
				// The node that had announced the member is gone, and this one has dropped its
				// claim before the last node could take over.
				p.bye(key, m)
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

// gone drops the claims of a node that has said goodbye, or was not heard since a time, once
// the grace has passed since then.
func (p *members) gone(node string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.replicas[node]
	if r == nil || p.closed {
		return
	}
	r.gone, r.synced = true, false
	p.notify()
	oldest, _ := p.nodes.oldest()
	p.dropAfter(max(p.grace-time.Since(since), 0), node, r, oldest)
}

// dropAfter drops the claims of a node that is gone after a time. The oldest node decides who
// has left, and tells this one, which waits longer.
func (p *members) dropAfter(wait time.Duration, node string, r *replica, oldest string) {
	if oldest != "" {
		wait += decideWait
	}
	due := time.Now().Add(wait)
	time.AfterFunc(wait, func() { p.drop(node, r, oldest, due) })
}

// drop removes the claims of a node that is gone, some at a time. oldest is the node that was
// to decide before due. It must have been heard since, or it may have been killed before it
// has: then the next oldest decides, which may be this one.
func (p *members) drop(node string, r *replica, oldest string, due time.Time) {
	p.mu.Lock()
	if p.closed || !r.gone || p.replicas[node] != r { // it is there again
		p.mu.Unlock()
		return
	}
	switch now, heard := p.nodes.oldest(); {
	case now == "": // this one decides
	case now != oldest:
		p.mu.Unlock()
		p.dropAfter(0, node, r, now)
		return
	case heard.Before(due):
		p.mu.Unlock()
		time.AfterFunc(beatInterval/2, func() { p.drop(node, r, oldest, due) })
		return
	}
	delete(p.replicas, node)
	if len(p.buried) >= maxBuried {
		clear(p.buried)
	}
	p.buried[node] = r.life
	p.mu.Unlock()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(r.claims)), dropBatch) {
		p.dropSome(node, r, batch)
	}
}

// dropSome removes claims of a node. If nobody else is left to do it for a member, the oldest
// node calls OnLeft.
func (p *members) dropSome(node string, r *replica, keys []memberKey) {
	first := p.nodes.isOldest() // another one may not know the claims
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if p.closed {
			return
		}
		p.change(key, func(m *member) {
			c := m.claim(node)
			if c == nil || c != r.claims[key] { // it has come back with another one
				return
			}
			if len(m.claims) == 1 && m.joined && first {
				p.bye(key, m)
			}
			m.remove(node)
		})
	}
}

// rise is called when the others have taken this node for dead in its present life. They have
// called OnLeft for its members, which are announced again.
func (p *members) rise(life uint64) {
	if life != p.life {
		return
	}
	p.life++
	p.seq = 0
	for key, c := range p.own {
		if !c.Announced || c.Sockets == 0 {
			continue
		}
		p.change(key, func(m *member) {
			if len(m.claims) == 1 {
				p.hook(key, true, m)
			}
		})
	}
	p.wanted = true
	p.kick()
}
