package durableobject

// debts are the claims of all nodes, with the calls of OnJoined and OnLeft that this node makes
// and that the others have to know of.
type debts struct {
	replication

	hooks hookQueue
}

// owe queues a call of OnLeft for a member.
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

// paid notes that a call of OnLeft has returned or is overdue. It is called without mu.
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

// join queues a call of OnJoined for a member with a claim of this node. Until it has returned
// the claim says so: if the node is killed, another one calls it.
func (p *debts) join(key memberKey, own *claim, m *member) {
	h := hookCall{channel: key.channel, joined: true, member: m.view(key.Recipient)}
	if !p.nodes.alone {
		h.done = func() { p.hasJoined(key, own) }
	}
	own.Joining = p.hooks.push(h) && !p.nodes.alone
}

// hasJoined notes that a call of OnJoined has returned or is overdue. It is called without mu.
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
