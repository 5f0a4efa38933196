package durableobject

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// maxEarly is how many changes of a node are kept because an earlier one is missing.
	maxEarly = 256
	// wantAgain is how long a node has to send its claims before it is asked again.
	wantAgain = time.Second
	// maxBuried is how many nodes that are gone are remembered.
	maxBuried = 1000
	// decideWait is how much later than the oldest node the others drop the claims of one that
	// is gone: two beats.
	decideWait = 2 * beatInterval
	// missedBeat is how long a node that has missed a beat has sent nothing.
	missedBeat = beatInterval * 3 / 2
	// silentAfter is how long a node may send nothing before it is listed as silent.
	silentAfter = 6 * time.Second
	// dropBatch is how many claims of a node that is gone are dropped at a time.
	dropBatch = 256
)

// replication has the claims of all nodes, and sends those of this node to the others. Each node
// numbers its messages of changes. A node that is new or has missed some asks for all claims, which
// are sent with the number of the last change that they include.
type replication struct {
	base  *base
	nodes *nodes

	// mu guards the fields below and those of members. It is held only while claims change. The
	// functions of replication, debts and members are called with mu held, unless their comment
	// states otherwise or they lock it themselves.
	//
	//   - own has the claims of this node, and replicas those of the others. A roster has
	//     all of them.
	//   - owed has the members whose OnLeft was queued and has not returned, unless this node
	//     is alone.
	mu      sync.Mutex
	own     map[memberKey]*claim
	owed    map[memberKey]*debt
	settled bool // the claims of the other nodes are known, as far as possible
	closed  bool

	generation uint64                  // increased when the other nodes have considered this one dead
	seq        uint64                  // of the last message of changes
	sent       uint64                  // transmissions of all claims
	dirty      map[memberKey]time.Time // own claims whose changes were not sent, with Member.Since if a member has left
	wanted     bool                    // another node has asked for all claims
	sending    bool
	passing    map[passage]bool // transmissions of other nodes' claims that are being sent
	replicas   map[string]*replica
	buried     map[string]uint64 // the generations of nodes that are gone
	endings    endings
	news       chan struct{} // closed, and replaced, when a replica is complete
}

// passage is a transmission of a node's claims to another one.
type passage struct{ to, of string }

// replica is the claims of another node.
type replica struct {
	generation, seq uint64
	synced          bool // the claims include all changes up to seq
	gone            bool // the node is gone, and its claims will be dropped
	doubted         bool // claims were dropped as if the node were gone, which is not certain
	claims          map[memberKey]*claim
	owed            map[memberKey]*debt
	early           map[uint64][]wireClaim // changes after a gap
	askedAt         time.Time
	heard           uint64 // seq of the last beat

	transmissions map[string]*transmission // of all claims, by sender
	applying      *transmission            // its claims are replacing those that were known

	dropping *time.Timer // runs drop, if gone
	goings   uint64      // how many times gone was set; drop does nothing for an earlier time
}

// transmission is all claims of a node, as far as they have been received.
type transmission struct {
	sent, seq uint64
	passed    bool // by another node
	parts     map[int][]wireClaim
}

func newReplication(b *base, n *nodes) replication {
	return replication{
		base: b, nodes: n, settled: n.alone, own: map[memberKey]*claim{}, owed: map[memberKey]*debt{},
		dirty: map[memberKey]time.Time{}, replicas: map[string]*replica{}, buried: map[string]uint64{},
		passing: map[passage]bool{}, news: make(chan struct{}),
	}
}

// touch marks a claim of this node as changed.
func (p *replication) touch(key memberKey) {
	if p.nodes.alone {
		return
	}
	if _, ok := p.dirty[key]; !ok {
		p.dirty[key] = time.Time{}
	}
	p.kick()
}

// kick starts sending, unless a goroutine already does.
func (p *replication) kick() {
	if !p.sending && !p.closed {
		p.sending = p.nodes.soon(func() { p.send(p.base.ctx) })
	}
}

// send sends what has changed, and all claims if another node wants them, until there is nothing left.
// Changes that are made meanwhile are sent in one message. It is called without mu.
func (p *replication) send(ctx context.Context) {
	for {
		p.mu.Lock()
		kind, list := "", []claimsData(nil)
		if ctx.Err() == nil { // otherwise close sends the rest, as far as it has time
			kind, list = p.outgoing()
		}
		p.sending = kind != ""
		p.mu.Unlock()
		if kind == "" {
			return
		}
		for _, c := range list {
			if ctx.Err() != nil { // or it would log a line for each of them
				break
			}
			p.post(ctx, message{Kind: kind}, &c)
		}
	}
}

// post broadcasts claims, and logs a failure; the other nodes notice that the message is missing. It
// is called without mu.
func (p *replication) post(ctx context.Context, m message, c *claimsData) {
	var err error
	if m.Data, err = encodeJSON(c); err == nil {
		err = p.nodes.broadcast(ctx, m)
	}
	if err != nil && !isClosing(err) {
		p.base.logger.WarnContext(ctx, "presence not sent to other nodes", "kind", m.Kind, "err", err)
	}
}

// outgoing returns the messages to send next and their kind, which is empty if there are none.
func (p *replication) outgoing() (kind string, list []claimsData) {
	switch {
	case p.wanted:
		p.wanted = false
		return kindClaims, p.transmit(p.own, p.owed, claimsData{Generation: p.generation, Seq: p.seq})
	case len(p.dirty) > 0:
		p.seq++
		c := claimsData{Generation: p.generation, Seq: p.seq}
		size := 0
		for key, ended := range p.dirty {
			w, n := wireClaimOf(key, p.own[key], p.owed[key], ended)
			if size+n > claimBytes && len(c.List) > 0 {
				break
			}
			if delete(p.dirty, key); n > 0 {
				c.List, size = append(c.List, w), size+n
			}
		}
		return kindChanged, []claimsData{c}
	}
	return "", nil
}

// transmit returns the messages of a new transmission of all claims and debts of a node. Their other
// fields are those of c.
func (p *replication) transmit(all map[memberKey]*claim, owed map[memberKey]*debt, c claimsData) []claimsData {
	p.sent++
	c.Sent = p.sent
	list := []claimsData{c}
	size := 0
	add := func(w wireClaim, n int) {
		if size += n; size > claimBytes {
			list, size = append(list, c), n
		}
		if last := &list[len(list)-1]; n > 0 {
			last.List = append(last.List, w)
		}
	}
	for key, own := range all {
		add(wireClaimOf(key, own, owed[key], time.Time{}))
	}
	for key, d := range owed {
		if all[key] == nil {
			add(wireClaimOf(key, nil, d, time.Time{}))
		}
	}
	for i := range list {
		list[i].Part, list[i].Parts = i, len(list)
	}
	return list
}

// beat returns the data of a beat.
func (p *replication) beat() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return claimsData{Generation: p.generation, Seq: p.seq, Nodes: p.nodes.hearsay()}
}

// unsynced returns the nodes whose claims are not known.
func (p *replication) unsynced() []string {
	return slices.DeleteFunc(p.nodes.others(), func(node string) bool {
		r := p.replicas[node]
		return r != nil && r.synced
	})
}

// isGone reports whether the claims of a node will be dropped.
func (p *replication) isGone(node string) bool {
	r := p.replicas[node]
	return r != nil && r.gone
}

// notify wakes the callers of wait.
func (p *replication) notify() {
	close(p.news)
	p.news = make(chan struct{})
}

// wait waits for the claims of the other nodes, for at most presenceWait.
func (p *replication) wait(ctx context.Context) error {
	timer := time.NewTimer(presenceWait)
	defer timer.Stop()
	for {
		p.mu.Lock()
		done, news := p.settled && len(p.unsynced()) == 0 || p.closed, p.news
		p.mu.Unlock()
		if err := context.Cause(ctx); done || err != nil {
			return err
		}
		select {
		case <-news:
		case <-timer.C:
			return nil
		case <-ctx.Done():
		}
	}
}

// silent returns the nodes that may not have sent all their claims.
func (p *replication) silent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := append(p.unsynced(), p.nodes.unheard(silentAfter)...)
	slices.Sort(names)
	return slices.Compact(names)
}
