package durableobject

import (
	"context"
	"maps"
	"slices"
	"time"
)

// forget drops the claims of nodes that are gone to a member for which another node has called
// OnLeft. That node may have noticed before this one that they are gone, so a node that has missed a
// beat counts as gone too. If it is not gone, it sends its claims again.
func (p *members) forget(key memberKey, m *member) {
	m.claims = slices.DeleteFunc(m.claims, func(c *claim) bool {
		r := p.replicas[c.node]
		switch {
		case c.node == p.nodes.name:
			return false
		case r == nil:
			return true
		case !r.gone && p.nodes.heardWithin(c.node, missedBeat):
			return false // its node will announce it
		}
		delete(r.claims, key) // otherwise it would be passed to nodes that have just started
		r.doubted = !r.gone
		return true
	})
}

// gone drops the claims of a node that has shut down or is considered dead, when the grace period has
// passed since its last message. It is called without mu.
func (p *members) gone(node string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.replicas[node]
	if r == nil || p.closed {
		return
	}
	p.setGone(max(p.grace-time.Since(since), 0), node, r)
	p.notify()
}

// setGone marks a replica as that of a node that is gone, and drops its claims after a time.
func (p *members) setGone(wait time.Duration, node string, r *replica) {
	r.gone, r.synced, r.transmissions, r.applying = true, false, nil, nil
	r.goings++
	p.dropAfter(wait, node, r)
}

// dropAfter drops the claims of a node that is gone after a time. The oldest node decides which
// members have left. The other nodes wait longer, so that they receive its decisions before.
func (p *members) dropAfter(wait time.Duration, node string, r *replica) {
	oldest, _ := p.nodes.oldest()
	if oldest != "" {
		wait += decideWait
	}
	p.dropIn(wait, node, r, oldest, time.Now().Add(wait))
}

// dropIn calls drop after a time, in place of an earlier timer.
func (p *members) dropIn(wait time.Duration, node string, r *replica, oldest string, due time.Time) {
	if r.dropping != nil {
		r.dropping.Stop()
	}
	going := r.goings
	r.dropping = p.base.after(wait, func(context.Context) { p.drop(node, r, going, oldest, due) })
}

// drop removes the claims of a node that is gone, in batches, unless the node has returned since.
// oldest is the node that had to decide before due. If it has sent nothing since then, it may have
// been killed before it decided: drop then tries again later, when that node has been heard, or is
// considered dead too and the next oldest decides, which may be this one. It is called without mu.
func (p *members) drop(node string, r *replica, going uint64, oldest string, due time.Time) {
	p.mu.Lock()
	if p.closed || !r.gone || r.goings != going || p.replicas[node] != r {
		p.mu.Unlock()
		return
	}
	switch now, heard := p.nodes.oldest(); {
	case now == "": // this one decides
	case now != oldest:
		p.dropAfter(0, node, r)
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

// inheritSome makes calls of OnLeft that a node which is gone has not completed, if this is the oldest
// node. It is called without mu.
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

// inherit makes a call of OnLeft that a node which is gone has not completed. If the client has become
// a member again meanwhile, OnJoined is called for it again, so that it is the last call.
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

// dropSome removes claims of a node. The oldest node calls OnLeft for the members to which no other
// node has a claim. It is called without mu.
func (p *members) dropSome(node string, r *replica, keys []memberKey) {
	first := p.nodes.isOldest() // other nodes may not know the claims
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if p.closed {
			return
		}
		p.change(key, func(m *member) {
			c := m.claim(node)
			if c == nil || c != r.claims[key] { // the node has returned with another claim
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

// rise begins another generation, because the other nodes have considered this one dead. They have
// called OnLeft for its members, so OnJoined is called for them again.
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

// returned drops the claims of this node that were kept only because another node was gone, which has
// returned.
func (p *members) returned() {
	for key, c := range p.own {
		if c.ended {
			p.change(key, func(*member) {})
		}
	}
}
