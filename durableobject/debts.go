package durableobject

import (
	"encoding/json"
	"time"
)

// debt is a member whose OnLeft a node has still to call, or that has not returned. The other
// nodes know of it: if the node is killed, one of them calls it.
type debt struct {
	Tags    []string        `json:"tags,omitempty"`
	Att     json.RawMessage `json:"att,omitempty"`
	Since   time.Time       `json:"since"`
	Joining bool            `json:"joining,omitempty"` // OnJoined has not returned either

	calls int // of OnLeft, that have not returned
}

// owe queues a call of OnLeft for a member.
func (p *members) owe(key memberKey, m Member, joining bool) {
	h := hookCall{channel: key.channel, member: m}
	if !p.nodes.alone {
		h.done = func() { p.paid(key) }
	}
	if !p.hooks.push(h) || p.nodes.alone {
		return
	}
	d := p.owed[key]
	if d == nil {
		d = &debt{}
		p.owed[key] = d
	}
	d.Tags, d.Att, d.Since, d.Joining = m.Tags, m.Att, m.Since, joining
	d.calls++
	p.touch(key)
}

// paid notes that a call of OnLeft has returned or is overdue. It is called without mu.
func (p *members) paid(key memberKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.owed[key]; d.calls > 1 {
		d.calls--
	} else {
		delete(p.owed, key)
		p.touch(key)
	}
}

// join queues a call of OnJoined for a member with a claim of this node. Until it has returned
// the claim says so: if the node is killed, another one calls it.
func (p *members) join(key memberKey, own *claim, m *member) {
	h := hookCall{channel: key.channel, joined: true, member: m.view(key.Recipient)}
	if !p.nodes.alone {
		h.done = func() { p.hasJoined(key, own) }
	}
	own.Joining = p.hooks.push(h) && !p.nodes.alone
}

// hasJoined notes that a call of OnJoined has returned or is overdue. It is called without mu.
func (p *members) hasJoined(key memberKey, own *claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own.Joining = false
	d := p.owed[key]
	if d != nil {
		d.Joining = false
	}
	if d != nil || p.own[key] == own {
		p.touch(key)
	}
}

// hook queues a call of a hook that is a repetition, which other nodes need not know of.
func (p *members) hook(key memberKey, joined bool, m *member) {
	p.hooks.push(hookCall{channel: key.channel, joined: joined, member: m.view(key.Recipient)})
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
			p.hook(key, true, m)
		}
	})
}
