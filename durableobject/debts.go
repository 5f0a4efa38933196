package durableobject

// debts adds to the claims of all nodes the calls of OnJoined and OnLeft that this node makes. The
// other nodes know which of these have not returned, and make them if this node is killed.
type debts struct {
	replication

	hooks hookQueue
}

// owe queues a call of OnLeft for a member. joining is set if its OnJoined has not returned.
func (p *debts) owe(key memberKey, m Member, joining bool) {
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

// paid records that a call of OnLeft has returned or is overdue. It is called without mu.
func (p *debts) paid(key memberKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.owed[key]; d.calls > 1 {
		d.calls--
	} else {
		delete(p.owed, key)
		p.touch(key)
	}
}

// join queues a call of OnJoined for a member to which this node has the claim own. Joining is set in
// the claim until the call has returned. If this node is killed before that, another one makes the
// call.
func (p *debts) join(key memberKey, own *claim, m *member) {
	h := hookCall{channel: key.channel, joined: true, member: m.view(key.Recipient)}
	if !p.nodes.alone {
		h.done = func() { p.hasJoined(key, own) }
	}
	own.Joining = p.hooks.push(h) && !p.nodes.alone
}

// hasJoined records that a call of OnJoined has returned or is overdue. It is called without mu.
func (p *debts) hasJoined(key memberKey, own *claim) {
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

// again queues another call of OnJoined for a member, which other nodes need not know of.
func (p *debts) again(key memberKey, m *member) {
	p.hooks.push(hookCall{channel: key.channel, joined: true, member: m.view(key.Recipient)})
}
