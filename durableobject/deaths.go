package durableobject

import (
	"context"
	"maps"
	"slices"
	"time"
)

// forget drops the claims of nodes that are gone to a member for which another node has called
// OnLeft. That node may have taken them for dead before this one does, so one that has missed a
// beat is gone too. If it is not, it sends its claims again.
func (p *members) forget(key memberKey, m *member) {
	m.claims = slices.DeleteFunc(m.claims, func(c *claim) bool {
		r := p.replicas[c.node]
		switch {
		case c.node == p.nodes.name:
			return false
		case r == nil:
			return true
		case !r.gone && p.nodes.heardWithin(c.node, missedBeat):
			return false // it will be announced
		}
		delete(r.claims, key) // a node that has just started would be passed it
		r.doubted = !r.gone
		return true
	})
}

// gone drops the claims of a node that has said goodbye, or was last heard at a time, once the
// grace has passed since then. It is called without mu.
func (p *members) gone(node string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.replicas[node]
	if r == nil || p.closed {
		return
	}
	r.gone, r.synced, r.transmissions, r.applying = true, false, nil, nil
	r.goings++
	p.notify()
	oldest, _ := p.nodes.oldest()
	p.dropAfter(max(p.grace-time.Since(since), 0), node, r, oldest)
}

// dropAfter drops the claims of a node that is gone after a time. The oldest node decides who
// has left, and tells this one, which waits longer. It is called with mu held.
func (p *members) dropAfter(wait time.Duration, node string, r *replica, oldest string) {
	if oldest != "" {
		wait += decideWait
	}
	p.dropIn(wait, node, r, oldest, time.Now().Add(wait))
}

func (p *members) dropIn(wait time.Duration, node string, r *replica, oldest string, due time.Time) {
	if r.dropping != nil {
		r.dropping.Stop()
	}
	going := r.goings
	r.dropping = p.base.after(wait, func(context.Context) { p.drop(node, r, going, oldest, due) })
}

// drop removes the claims of a node that is gone, some at a time, unless it has been there
// again since. oldest is the node that was to decide before due. It must have been heard
// since, or it may have been killed before it has: then the next oldest decides, which may be
// this one. It is called without mu.
func (p *members) drop(node string, r *replica, going uint64, oldest string, due time.Time) {
	p.mu.Lock()
	if p.closed || !r.gone || r.goings != going || p.replicas[node] != r {
		p.mu.Unlock()
		return
	}
	switch now, heard := p.nodes.oldest(); {
	case now == "": // this one decides
	case now != oldest:
		p.dropAfter(0, node, r, now)
		p.mu.Unlock()
		return
	case heard.Before(due):
		p.dropIn(beatInterval/2, node, r, oldest, due)
		p.mu.Unlock()
		return
	}
	delete(p.replicas, node)
	if len(p.buried) >= maxBuried {
		clear(p.buried)
	}
	p.buried[node] = r.generation
	p.mu.Unlock()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(r.claims)), dropBatch) {
		p.dropSome(node, r, batch)
	}
	for batch := range slices.Chunk(slices.Collect(maps.Keys(r.owed)), dropBatch) {
		p.inheritSome(r, batch)
	}
}

// inheritSome calls OnLeft for members for which a node that is gone has not, if this is the
// oldest node. It is called without mu.
func (p *members) inheritSome(r *replica, keys []memberKey) {
	if !p.nodes.isOldest() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if !p.closed {
			p.inherit(key, r.owed[key])
		}
	}
}

// inherit calls OnLeft for a member that a node which is gone owed it to. If the member is there
// again it was called OnJoined for too, and is again, after this.
func (p *members) inherit(key memberKey, d *debt) {
	left := Member{Recipient: key.Recipient, Tags: d.Tags, Att: d.Att, Since: d.Since}
	if d.Joining {
		p.hooks.push(hookCall{channel: key.channel, joined: true, member: left})
	}
	p.owe(key, left, false)
	p.change(key, func(m *member) {
		if len(m.claims) > 0 {
			p.again(key, m)
		}
	})
}

// dropSome removes claims of a node. The oldest node calls OnLeft of a member that no other
// node has a claim to. It is called without mu.
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
			if first && c.Joining {
				p.again(key, m)
			}
			if first && m.joined && len(m.claims) == 1 {
				p.bye(key, m, false)
			}
			m.remove(node)
		})
	}
}

// rise begins another generation, since the others have taken this one for dead: they have
// called OnLeft for its members, which are announced again.
func (p *members) rise(generation uint64) {
	if generation != p.generation {
		return
	}
	p.generation++
	p.seq = 0
	for key, c := range p.own {
		if !c.Announced || c.Sockets == 0 {
			continue
		}
		p.change(key, func(m *member) {
			if len(m.claims) == 1 {
				p.again(key, m)
			}
		})
	}
	p.wanted = true
	p.kick()
}

// returned drops the claims of this node that were only kept because another one was gone.
func (p *members) returned() {
	for key, c := range p.own {
		if c.ended {
			p.change(key, func(*member) {})
		}
	}
}
