package durableobject_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// reading is a subscription with the events that it has received, and the rules for them.
type reading struct {
	visit *visit
	id    string
	last  string // the last event id that it named
	ext   bool
	round int // of its request

	// The newest event of the channel when the subscription began: at least low, at
	// most high.
	low, high uint64
	// A truncated resume misses at least the events up to gone, at most those up to lost.
	gone, lost uint64
	placed     bool // high is known
	begun      bool // lost is known
	caught     bool // lost is final: what was missed has been read

	// Of a resume: what the position is worth.
	from           eventlog.Position
	must, may, fit bool // be truncated, be truncated; be complete
	known          bool // truncated is
	truncated      bool

	// Without a last event id: how many of the newest events it begins with, and the
	// position before the first of them, if that is known.
	latest int
	begins bool
	begin  uint64

	answered bool
	heard    bool // answered, when it was checked last
	exact    bool // low is high, by the header or the hook
	hook     *hookRun
	hookBy   time.Time // when events wait for its hook no longer, at the latest; zero: unknown
	unclear  bool      // which hook is its own
	waited   bool      // the hook did, for that of an earlier subscription
	ended    bool
	endRound int

	got    []item
	seen   map[*post]int // to index in got
	lastID uint64
	want   []*post // all that were for it, in order
	looked int     // at so many of the place's posts
}

// item is an event that a subscription has received.
type item struct {
	post     *post
	snapshot string
	cursor   uint64
}

func newReading(v *visit, last string, ext bool) *reading {
	p := v.place
	r := &reading{visit: v, last: last, ext: ext, round: p.round, low: p.before(), seen: map[*post]int{}}
	if p.nodes > 1 { // which learn what was published in this step when their feeds bring it
		r.low = min(r.low, p.settled)
	}
	if p.log != nil {
		r.gone = p.missing(p.skew())
	}
	if last == "" || p.log == nil {
		r.latest = p.plan.latest
		return r
	}
	var readable bool
	r.from, readable = parsePosition(last)
	if last != "0" { // which asks for what is retained, and is complete
		r.must = !readable || r.from.Epoch != p.epoch
		r.may = r.must || r.from.Seq > p.head() || p.mayMiss(r.from.Seq)
	}
	fit := v.guest.fit[p]
	r.fit = last == v.guest.last[p] && r.from.Seq >= fit.from && time.Now().Before(fit.until)
	return r
}

// newest returns the rank of the newest event of the channel.
func (p *place) newest() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.posts) == 0 {
		return 0
	}
	return p.posts[len(p.posts)-1].rank
}

// before returns the rank of the newest event of the channel that was not published in this step.
func (p *place) before() uint64 {
	newest := p.newest()
	if p.log == nil && newest == p.tick {
		return newest - 1
	}
	return newest
}

// parsePosition parses "0" or "<epoch>-<seq>".
func parsePosition(text string) (eventlog.Position, bool) {
	if text == "0" {
		return eventlog.Position{}, true
	}
	epoch, digits, ok := strings.Cut(text, "-")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if !ok || epoch == "" || err != nil || strconv.FormatUint(seq, 10) != digits {
		return eventlog.Position{}, false
	}
	return eventlog.Position{Epoch: epoch, Seq: seq}, true
}

// end records that no event that is published later may arrive.
func (r *reading) end(round int) {
	if !r.ended {
		r.ended, r.endRound = true, round
	}
}

// givenPosition checks a position that the client was sent.
func (r *reading) givenPosition(text string) uint64 {
	p := r.visit.place
	at, ok := parsePosition(text)
	if !ok || at.Epoch != p.epoch || at.Seq > p.head() {
		p.failf("v%d got the position %q: the log has %d in epoch %s", r.visit.n, text, p.head(), p.epoch)
	}
	p.given = append(p.given, text)
	return at.Seq
}

func (r *reading) receive(f *frame) {
	w := r.visit.place.world
	switch {
	case f.T == 0:
		r.response(f)
	case !r.answered:
		w.failf("v%d got an event of %s before the response", r.visit.n, r.id)
	case f.P.E == "done":
		r.done()
	case f.P.E != "message":
		w.failf("v%d: %s ended with %q", r.visit.n, r.id, f.P.E)
	case f.P.D == nil:
		r.cursor(f)
	case strings.HasPrefix(f.P.D.JSON.Text, "snapshot"):
		w.sawf("a snapshot")
		r.got = append(r.got, item{snapshot: f.P.D.JSON.Text})
	default:
		r.event(f)
	}
}

func (r *reading) response(f *frame) {
	w, p := r.visit.place.world, r.visit.place
	if r.answered || f.P.S != 0 || f.P.H["content-type"] != "text/event-stream" {
		w.failf("v%d got a bad response to %s", r.visit.n, r.id)
	}
	r.answered = true
	if !r.ext {
		if len(f.P.H) > 1 {
			w.failf("v%d got headers that it did not ask for", r.visit.n)
		}
		return
	}
	resume := f.P.H["x-durable-iterator-resume"]
	text, has := f.P.H["x-durable-iterator-position"]
	if has != (p.log != nil) || (resume == "off") != (p.log == nil) || (resume == "none") != (p.log != nil && r.last == "") {
		w.failf("v%d got %v", r.visit.n, f.P.H)
	}
	if p.log == nil {
		return
	}
	at := r.givenPosition(text)
	if r.latest > 0 {
		r.begin, r.begins = at, true
		r.visit.guest.last[p] = text
		return
	}
	if at < r.low {
		w.failf("v%d got the position %s, and the channel was at %d", r.visit.n, text, r.low)
	}
	r.low, r.high, r.exact = at, at, true
	if r.last == "" {
		r.visit.guest.last[p] = text
		return
	}
	r.learnTruncated(resume == "truncated")
}

// learnTruncated records the outcome of a resume that the server reports.
func (r *reading) learnTruncated(truncated bool) {
	if r.known && r.truncated != truncated {
		r.visit.place.failf("v%d: header and hook of %s disagree", r.visit.n, r.id)
	}
	if !r.known {
		r.visit.place.sawf("a resume: %s", either(truncated, "truncated", "complete"))
	}
	r.known, r.truncated = true, truncated
}

func (r *reading) done() {
	by := -1
	for _, other := range r.visit.readings {
		if other != r && other.round >= r.round {
			by = max(by, other.round)
		}
	}
	if by < 0 {
		r.visit.place.failf("v%d: %s was ended", r.visit.n, r.id)
	}
	r.visit.place.sawf("a subscription ended by the next")
	r.end(by)
}

func (r *reading) cursor(f *frame) {
	w, v := r.visit.place.world, r.visit
	if !r.ext || f.P.M == nil {
		w.failf("v%d got an event without data", v.n)
	}
	seq := r.givenPosition(f.P.M.ID)
	r.rising(seq)
	r.got = append(r.got, item{cursor: seq})
	w.sawf("an event that moves the cursor")
	v.guest.last[v.place] = f.P.M.ID
}

func (r *reading) rising(seq uint64) {
	if seq <= r.lastID {
		r.visit.place.failf("v%d got %d after %d", r.visit.n, seq, r.lastID)
	}
	r.lastID = seq
}

func (r *reading) event(f *frame) {
	v, p := r.visit, r.visit.place
	p.mu.Lock()
	n := p.world.posts[keyOf(f.P.D.JSON.Text)]
	p.mu.Unlock()
	switch {
	case n == nil || n.text != f.P.D.JSON.Text || n.rank == 0:
		p.failf("v%d got something that nobody published: %v, %+v", v.n, n, f.P)
	case n.place != p || !n.includes(v):
		p.failf("v%d got what is for somebody else: %v", v.n, n)
	case n.at.After(v.exp):
		p.failf("v%d got something after the end of its token: %v", v.n, n)
	}
	if _, twice := r.seen[n]; twice {
		p.failf("v%d got it twice: %v", v.n, n)
	}
	r.checkMeta(f, n)
	n.seen(v)
	if p.log != nil {
		r.rising(n.rank)
		p.given = append(p.given, f.P.M.ID)
		v.guest.last[p] = f.P.M.ID
	}
	r.seen[n] = len(r.got)
	r.got = append(r.got, item{post: n})
}

func (r *reading) checkMeta(f *frame, n *post) {
	p := r.visit.place
	got := f.P.M
	if got == nil {
		got = &struct {
			ID       string
			Retry    int64
			Comments []string
		}{}
	}
	id := n.meta.ID
	if p.log != nil {
		id = p.epoch + "-" + strconv.FormatUint(n.rank, 10)
	}
	if got.ID != id || got.Retry != n.meta.Retry.Milliseconds() || !slices.Equal(got.Comments, n.meta.Comments) {
		p.failf("v%d got the metadata %+v, want id %s: %v", r.visit.n, *got, id, n)
	}
}

// remember records, at the end of a subscription, what its client can rely on: a position that it
// was sent while it had read everything is at most as old as a quarter of the retention.
func (r *reading) remember() {
	v, p := r.visit, r.visit.place
	if r.ended || !r.ext || v.active() != r || p.log == nil || v.lags || v.stalled || r.hook == nil || p.plan.log == "bounded" {
		return
	}
	if r.hook.running() || !r.caught || time.Since(r.hook.started) < p.retention/4+p.hookTime+20*time.Second {
		return
	}
	if at, ok := parsePosition(v.guest.last[p]); ok && at.Epoch == p.epoch {
		v.guest.fit[p] = fitness{at.Seq, time.Now().Add(p.retention / 2)}
	}
}

// held reports whether events may wait for the hook, or for the hook of an earlier subscription
// that runs first. The time that they may wait begins when the client has received the missed
// events, however long the earlier hook has been running.
func (r *reading) held() bool {
	switch {
	case !r.hookBy.IsZero() && !time.Now().Before(r.hookBy):
		return false
	case r.hook != nil:
		return r.hook.busy()
	default: // if it is unclear which it is, any that runs may be, or keep it waiting
		return !r.unclear || r.visit.hookBusy()
	}
}

// busy reports whether the hook has not returned.
func (h *hookRun) busy() bool {
	w := h.visit.place.world
	w.mu.Lock()
	defer w.mu.Unlock()
	return !h.ended
}

// running reports whether the hook delays live events.
func (h *hookRun) running() bool {
	w := h.visit.place
	w.mu.Lock()
	defer w.mu.Unlock()
	return !h.ended && time.Since(h.started) < w.hookTime
}
