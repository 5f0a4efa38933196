package durableobject

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

const (
	// maxRevocations is the maximum number of revocations in force.
	maxRevocations = 100_000
	// maxRevoked is the maximum duration of a revocation.
	maxRevoked = 100 * 365 * 24 * time.Hour
	// sweepSlack is how long a revocation is remembered after its end, so that a clock that
	// is temporarily ahead, for example before NTP sets it, does not end it for good. If
	// there are more than half of maxRevocations, they are forgotten at their end.
	sweepSlack = 24 * time.Hour
	// keptSlack is how long the bus keeps a revocation after its end, because the clocks of
	// the nodes and of the bus may differ. While there are less than keptFew revocations,
	// sweepSlack is used instead.
	keptSlack = 10 * time.Minute
	keptFew   = maxRevocations / 10
)

// ErrTooManyRevocations is returned by Revoke if 100,000 revocations are in force. Revoke tokens by
// subject, channel or time of issue instead of single tokens.
var ErrTooManyRevocations = errors.New("too many revocations")

// revocation refuses the tokens that match until it ends.
type revocation struct {
	Who   Who       `json:"who"`
	Until time.Time `json:"until"`
}

// keptKey returns the key of the revocation on the bus. It contains the time, so that a node that
// does not know a longer revocation does not replace it.
func (r *revocation) keptKey() string {
	return r.key() + "." + r.Until.UTC().Format(time.RFC3339Nano)
}

// key returns a string that identifies the selector of the revocation.
func (r *revocation) key() string {
	text, _ := json.Marshal(r.Who.key()) //nolint:errchkjson // strings and a time that was checked
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fields is a bit set of the fields of a selector that are set, without IssuedBefore.
type fields uint8

const (
	byTokenID fields = 1 << iota
	bySubject
	byChannel
	byTag
	allFields = 1<<iota - 1
)

// criteria are the fields of a Who that are compared for equality.
type criteria struct{ tokenID, subject, channel, tag string }

func criteriaOf(w *Who) criteria { return criteria{w.TokenID, w.Subject, w.Channel, w.Tag} }

func (s *criteria) fields() (f fields) {
	for i, value := range [...]string{s.tokenID, s.subject, s.channel, s.tag} {
		if value != "" {
			f |= 1 << i
		}
	}
	return f
}

// cutoff refuses tokens that were issued at a time or before, until another time.
type cutoff struct {
	issued time.Time // zero means any time
	until  time.Time
}

// reaches reports whether c refuses tokens that were issued at t.
func (c *cutoff) reaches(t time.Time) bool { return c.issued.IsZero() || !t.After(c.issued) }

// covers reports whether c refuses all tokens that d refuses, for at least as long.
func (c *cutoff) covers(d *cutoff) bool {
	return (c.issued.IsZero() || !d.issued.IsZero() && c.reaches(d.issued)) && !c.until.Before(d.until)
}

// revocations has the revocations in force that this process knows.
type revocations struct {
	count atomic.Int64 // number of cutoffs; if it is 0, mu is not locked

	// mu guards the fields below. The cutoffs of a selector are in order of issued, zero
	// last, and in reverse order of until, because a cutoff that another one covers is
	// removed.
	mu       sync.RWMutex
	cutoffs  map[criteria][]cutoff
	selected [allFields + 1]int // how many selectors have these fields
}

// add adds a revocation, or extends one, and reports whether that has an effect now. A revocation
// that has just ended is added too, because the clock may be ahead, and values of the bus are not
// read twice.
func (v *revocations) add(r *revocation, now time.Time) (changed bool) {
	if !now.Before(r.Until.Add(sweepSlack)) || r.Who.ID != "" || r.Who == (Who{}) {
		return false
	}
	at, c := criteriaOf(&r.Who), cutoff{r.Who.IssuedBefore, r.Until}
	v.mu.Lock()
	defer v.mu.Unlock()
	list := v.cutoffs[at]
	i := reaching(list, c.issued, c.issued.IsZero())
	if i < len(list) && list[i].covers(&c) {
		return false
	}
	if v.cutoffs == nil {
		v.cutoffs = map[criteria][]cutoff{}
	}
	if len(list) == 0 {
		v.selected[at.fields()]++
	}
	end := i
	if end < len(list) && c.covers(&list[end]) { // it has the same issued and a later until
		end++
	}
	for i > 0 && c.covers(&list[i-1]) {
		i--
	}
	v.cutoffs[at] = slices.Replace(list, i, end, c)
	v.count.Add(int64(1 - (end - i)))
	return now.Before(r.Until)
}

// reaching returns the index of the first cutoff that refuses tokens issued at t, which has the
// latest until of all that do. With all it returns the index of the cutoff for all tokens.
func reaching(list []cutoff, t time.Time, all bool) int {
	return sort.Search(len(list), func(i int) bool { return list[i].issued.IsZero() || !all && list[i].reaches(t) })
}

// covers reports whether all tokens that r refuses are already refused for at least as long.
func (v *revocations) covers(r *revocation) bool {
	c := cutoff{r.Who.IssuedBefore, r.Until}
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := v.cutoffs[criteriaOf(&r.Who)]
	i := reaching(list, c.issued, c.issued.IsZero())
	return i < len(list) && list[i].until.After(c.until)
}

// isFull reports whether there are maxRevocations.
func (v *revocations) isFull(now time.Time) bool {
	return v.count.Load() >= maxRevocations && v.sweep(now) >= maxRevocations
}

// slack returns how long the bus should keep a revocation after its end. It is less if there are
// many, because all kept values are read repeatedly.
func (v *revocations) slack() time.Duration {
	if v.count.Load() < keptFew {
		return sweepSlack
	}
	return keptSlack
}

// until returns when the revocation with the selector of r ends, or the zero time if there is none.
func (v *revocations) until(r *revocation) time.Time {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list, issued := v.cutoffs[criteriaOf(&r.Who)], r.Who.IssuedBefore
	if i := reaching(list, issued, issued.IsZero()); i < len(list) && list[i].issued.Equal(issued) {
		return list[i].until
	}
	return time.Time{}
}

// sweep removes revocations that ended long ago or, if there are many, all that have ended, and
// returns the number of those left. match decides whether one is in force, by the wall clock.
func (v *revocations) sweep(now time.Time) int {
	switch n := v.count.Load(); {
	case n == 0:
		return 0
	case n < maxRevocations/2:
		now = now.Add(-sweepSlack)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for at, list := range v.cutoffs {
		left := sort.Search(len(list), func(i int) bool { return !now.Before(list[i].until) })
		v.count.Add(int64(left - len(list)))
		if left > 0 {
			v.cutoffs[at] = list[:left]
			continue
		}
		delete(v.cutoffs, at)
		v.selected[at.fields()]--
	}
	return int(v.count.Load())
}

// bySubject reports whether any revocation depends on the subject of tokens.
func (v *revocations) bySubject() bool {
	if v.count.Load() == 0 {
		return false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	for f, n := range v.selected {
		if n > 0 && fields(f)&bySubject != 0 {
			return true
		}
	}
	return false
}

// match reports whether a token is refused. subject is the subject of the token.
func (v *revocations) match(subject string, p *token.Payload, now time.Time) bool {
	if v.count.Load() == 0 {
		return false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	refused := func(at criteria) bool {
		list := v.cutoffs[at]
		i := reaching(list, p.IssuedAt, false)
		return i < len(list) && now.Before(list[i].until)
	}
	for f, n := range v.selected {
		if n == 0 {
			continue
		}
		var at criteria
		if fields(f)&byTokenID != 0 {
			at.tokenID = p.ID
		}
		if fields(f)&bySubject != 0 {
			at.subject = subject
		}
		if fields(f)&byChannel != 0 {
			at.channel = p.Channel
		}
		if fields(f)&byTag == 0 {
			if at.fields() == fields(f) && refused(at) {
				return true
			}
			continue
		}
		for _, at.tag = range p.Tags {
			if at.fields() == fields(f) && refused(at) {
				return true
			}
		}
	}
	return false
}
