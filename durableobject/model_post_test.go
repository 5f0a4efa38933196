package durableobject_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// post is an event with its audience, as the oracle sees it.
type post struct {
	place   *place
	text    string
	opts    []durableobject.PublishOption
	about   []string // opts to be read
	meta    rpc.EventMeta
	refused error // the error that PublishEvent must return
	solo    bool  // nothing else happens meanwhile

	// Guarded by the world's mu until it has settled.
	tags              []string // nil: all
	targets, excludes []eventlog.Recipient
	asked             []*visit // by predicates of either kind
	asks              int      // predicates
	readers           []*visit
	began, ended      bool
	err               error

	rank  uint64 // its place in the order: Seq, or without a log the round
	at    time.Time
	round int // in which it was published
}

// newPost returns a post for everybody.
func (w *world) newPost(p *place) *post {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := &post{place: p, text: fmt.Sprint("p", len(w.posts))}
	w.posts[n.text] = n
	return n
}

// randomPost returns a post with random options.
func (w *world) randomPost(r *rand.Rand, p *place) *post {
	n := w.newPost(p)
	if w.pad > 0 {
		n.text += "." + strings.Repeat("x", r.IntN(w.pad))
	}
	for range pick(r, 0, 0, 0, 1, 1, 2) {
		n.withTags(r)
	}
	for range pick(r, 0, 0, 0, 1, 1, 2) {
		n.withRecipients(r, "target", &n.targets)
	}
	for range pick(r, 0, 0, 0, 1, 1, 2) {
		n.withRecipients(r, "exclude", &n.excludes)
	}
	if r.IntN(4) == 0 {
		n.meta = rpc.EventMeta{ID: pick(r, "", "mine"), Retry: pick(r, 0, 1500*time.Millisecond), Comments: pick(r, nil, []string{"c"})}
		n.opt(fmt.Sprintf("meta %+v", n.meta), durableobject.WithEventMeta(n.meta))
	}
	return n
}

// key returns the text of a post without the padding, which identifies it.
func (n *post) key() string { return keyOf(n.text) }

func keyOf(text string) string {
	key, _, _ := strings.Cut(text, ".")
	return key
}

func (n *post) opt(about string, o durableobject.PublishOption) {
	n.about, n.opts = append(n.about, about), append(n.opts, o)
}

func (n *post) withTags(r *rand.Rand) {
	tags := subset(r, "x", "y", "z")
	n.opt(fmt.Sprint("tags", tags), durableobject.WithTags(tags...))
	if n.tags = append(n.tags, tags...); n.tags == nil {
		n.tags = []string{}
	}
}

// withRecipients adds an option for the targets or the excludes.
func (n *post) withRecipients(r *rand.Rand, kind string, list *[]eventlog.Recipient) {
	if *list == nil {
		*list = []eventlog.Recipient{}
	}
	target := kind == "target"
	kinds := either(n.place.nodes > 1, []int{1, 1, 2, 2, 3}, []int{0, 1, 2, 3})
	switch pick(r, kinds...) {
	case 0: // the sockets of a node, which publishers at the others do not have
		var sockets []*durableobject.Websocket
		for _, v := range n.place.visits {
			if r.IntN(2) == 0 && (v.place == n.place || r.IntN(8) == 0) {
				sockets = append(sockets, v.ws)
				*list = append(*list, v.to)
				if v.place != n.place {
					n.refused = durableobject.ErrForeignWebsocket
				}
			}
		}
		n.opt(fmt.Sprint(kind, " sockets ", *list), either(target, durableobject.WithTargets, durableobject.WithExclude)(sockets...))
	case 1:
		ids := subset(r, "i0", "i1", "i2")
		for _, id := range ids {
			*list = append(*list, eventlog.Recipient{ID: id})
		}
		if n.place.subject && len(ids) > 0 {
			n.refused = errors.Join(n.refused, durableobject.ErrNoSubject)
		}
		n.opt(fmt.Sprint(kind, " ids ", ids), either(target, durableobject.WithTargetIDs, durableobject.WithExcludeIDs)(ids...))
	case 2:
		var named []eventlog.Recipient
		for _, id := range subset(r, "i0", "i1", "i2") {
			named = append(named, n.place.recipient(id, pick(r, "u0", "u1")))
		}
		*list = append(*list, named...)
		n.opt(fmt.Sprint(kind, " named ", named), either(target, durableobject.WithTargetRecipients, durableobject.WithExcludeRecipients)(named...))
	case 3:
		if n.asks++; n.place.nodes > 1 {
			n.refused = errors.Join(n.refused, durableobject.ErrPredicate)
		}
		bit := r.IntN(2)
		n.opt(fmt.Sprint(kind, " visits with bit ", bit), either(target, durableobject.WithTargetsFunc, durableobject.WithExcludeFunc)(
			func(ws *durableobject.Websocket) bool { return n.ask(ws, bit, list) }))
	}
}

// ask is a predicate. The sockets that it selects are added to the audience.
func (n *post) ask(ws *durableobject.Websocket, bit int, list *[]eventlog.Recipient) bool {
	w := n.place.world
	number, _ := readAtt(ws.Token())
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.all[number]
	n.asked = append(n.asked, v)
	if number>>bit&1 == 0 {
		return false
	}
	*list = append(*list, v.to)
	return true
}

func either[F any](first bool, a, b F) F {
	if first {
		return a
	}
	return b
}

func (w *world) recipient(id, subject string) eventlog.Recipient {
	if !w.subject {
		subject = ""
	}
	return eventlog.Recipient{Subject: subject, ID: id}
}

// publish publishes the post. The driver, hooks and methods call it.
func (n *post) publish(ctx context.Context, h *hall) error {
	w := n.place.world
	w.mu.Lock()
	n.began = true
	w.mu.Unlock()
	at := time.Now()
	err := h.PublishEvent(ctx, message{n.text}, n.opts...)
	w.mu.Lock()
	defer w.mu.Unlock()
	n.ended, n.err = true, err
	switch {
	case errors.Is(err, durableobject.ErrForeignWebsocket):
		w.sawf("refused: the socket of another object")
	case errors.Is(err, durableobject.ErrPredicate):
		w.sawf("nodes: a predicate is refused")
	case errors.Is(err, durableobject.ErrNoSubject):
		w.sawf("refused: an id without its subject")
	}
	w.fresh = true
	w.coming = w.nodes > 1 && w.feed != "calm"
	n.place.noisy += len(n.text) + 200
	if n.place.log == nil && err == nil {
		n.rank, n.at, n.round = w.tick, at, w.round
		n.place.posts = append(n.place.posts, n)
	}
	if n.refused != nil && err == nil {
		w.wrong = fmt.Sprintf("%v was published", n)
	}
	if err != nil && n.refused == nil && !w.ending && ctx.Err() == nil {
		w.wrong = fmt.Sprintf("%v was not published: %v", n, err)
	}
	return err
}

// includes reports whether the post is for the client of a visit.
func (n *post) includes(v *visit) bool {
	if slices.Contains(n.excludes, v.to) {
		return false
	}
	if n.targets != nil && !slices.Contains(n.targets, v.to) {
		return false
	}
	if n.tags == nil {
		return true
	}
	for _, tag := range v.tags {
		if slices.Contains(n.tags, tag) {
			return true
		}
	}
	return false
}

// seen records which client has received a post. Twins are two posts with the same text.
func (n *post) seen(v *visit) {
	for _, other := range n.readers {
		if other != v && other.to == v.to && !other.gone {
			n.place.sawf("an event that twins got")
		}
	}
	n.readers = append(n.readers, v)
}

func (n *post) String() string { return fmt.Sprint(n.key(), " in ", n.place, " ", n.about) }

// learn reads from the logs which posts were published, and in which order.
func (w *world) learn() {
	w.mu.Lock()
	fresh := w.fresh
	w.fresh = false
	w.mu.Unlock()
	if !fresh {
		return
	}
	for _, p := range w.places {
		if p.log != nil {
			p.learn()
		}
	}
}

func (p *place) learn() {
	replay, err := p.log.After(p.ctx, p.channel, eventlog.Position{Epoch: p.epoch, Seq: p.learnt})
	if err != nil {
		p.failf("read the log: %v", err)
	}
	for rec, err := range replay.Records {
		if err != nil {
			p.failf("read the log: %v", err)
		}
		p.mu.Lock()
		n := p.world.posts[textOf(rec.Data)]
		p.mu.Unlock()
		if n == nil || n.place != p || n.rank != 0 || n.refused != nil {
			p.failf("the log of %v has %s", p, rec.Data)
		}
		n.rank, n.at, n.round = rec.Seq, rec.Time, p.round
		p.posts, p.learnt = append(p.posts, n), rec.Seq
	}
}

// textOf returns the key of the post whose encoding this is.
func textOf(data []byte) string {
	_, rest, _ := bytes.Cut(data, []byte(`"text":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	return keyOf(string(text))
}

// checkPosts checks that the logs have the posts that were acknowledged, and no others.
func (w *world) checkPosts() {
	for _, n := range w.posts {
		if n.began && n.ended && (n.err == nil) != (n.rank != 0) {
			w.failf("%v: the publisher got %v, its place is %d", n, n.err, n.rank)
		}
	}
}

// head returns the newest Seq of the log of a place, of all channels.
func (p *place) head() (seq uint64) {
	for _, other := range p.world.places {
		if other.epoch == p.epoch {
			seq = max(seq, other.learnt)
		}
	}
	return seq
}

// missing returns the Seq up to which the events of a place were dropped, or are older than the
// retention by more than slack.
func (p *place) missing(slack time.Duration) (seq uint64) {
	old := time.Now().Add(-p.retention - slack)
	for _, n := range p.posts {
		if n.at.Before(old) {
			seq = n.rank
		}
	}
	if p.plan.log != "bounded" {
		return seq
	}
	first := p.oldest()
	for _, n := range p.posts {
		if n.rank < first {
			seq = max(seq, n.rank)
		}
	}
	return seq
}

// oldest returns the Seq of the oldest record of a place, or one more than the newest Seq if there
// is none.
func (p *place) oldest() uint64 {
	for {
		replay, err := p.log.After(p.ctx, p.channel, eventlog.Position{})
		if err != nil {
			p.failf("read the log: %v", err)
		}
		oldest := p.learnt + 1
		for rec, err2 := range replay.Records {
			if err = err2; err == nil {
				oldest = rec.Seq
			}
			break
		}
		if err == nil { // or it was dropped at this moment
			return oldest
		}
	}
}

// mayMiss reports whether the log may not know what came after seq, because records were dropped:
// in this channel or, since a log may forget a channel, in another one.
func (p *place) mayMiss(seq uint64) bool {
	for _, other := range p.world.places {
		if other.epoch == p.epoch && other.missing(0) > seq {
			return true
		}
	}
	return false
}

func subset(r *rand.Rand, of ...string) []string {
	var list []string
	for _, s := range of {
		if r.IntN(2) == 0 {
			list = append(list, s)
		}
	}
	return list
}
