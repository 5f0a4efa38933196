package durableobject

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

const (
	// maxRevocations is how many revocations may be in force at once.
	maxRevocations = 100_000
	// maxRevoked is how long a revocation lasts at most.
	maxRevoked = 100 * 365 * 24 * time.Hour
	// keptSlack is how much longer than it lasts a revocation is kept by the bus: the clocks
	// of the nodes and of the bus may differ by as much.
	keptSlack = 10 * time.Minute
	// sweepSlack is how much longer a node remembers it, so that a clock that is ahead for a
	// while, as before NTP sets it, does not end it for good. Nothing is remembered beyond
	// its end while half of maxRevocations are.
	sweepSlack = 24 * time.Hour
)

// ErrTooManyRevocations is returned by Revoke while 100,000 revocations are in force.
// Revoke by subject, channel or time of issue in place of single tokens.
var ErrTooManyRevocations = errors.New("durableobject: too many revocations")

// revocation refuses the tokens that match until it ends.
type revocation struct {
	Who   Who       `json:"who"`
	Until time.Time `json:"until"`
}

// keptKey returns the key that the revocation is kept under. It has the time in it, so that
// a node which does not know of a longer revocation does not replace that.
func (r *revocation) keptKey() string {
	return r.key() + "." + r.Until.UTC().Format(time.RFC3339Nano)
}

// key returns what distinguishes the selector of the revocation from others.
func (r *revocation) key() string {
	text, _ := json.Marshal(r.Who.key()) //nolint:errchkjson // strings and a time that was checked
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// selector is the field of a revocation that it is found by: its most selective one.
type selector struct {
	field byte
	value string
}

func (r *revocation) selector() selector {
	switch w := &r.Who; {
	case w.TokenID != "":
		return selector{'t', w.TokenID}
	case w.Subject != "":
		return selector{'s', w.Subject}
	case w.Channel != "":
		return selector{'c', w.Channel}
	case w.Tag != "":
		return selector{'g', w.Tag}
	}
	return selector{}
}

// revocations are those in force, as far as this process knows.
type revocations struct {
	count atomic.Int64 // len of byKey, so that a namespace without any asks nothing

	mu       sync.RWMutex
	byKey    map[string]*revocation
	bySelect map[selector][]*revocation
	subjects int // how many have a Subject
}

// add adds a revocation, or makes one last longer. It reports whether that changes anything
// now. One that has just ended is added too: the clock may be ahead, and nothing that is kept
// is read twice.
func (v *revocations) add(r *revocation, now time.Time) (changed bool) {
	key := r.key()
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.byKey[key]
	if !now.Before(r.Until.Add(sweepSlack)) || old != nil && !r.Until.After(old.Until) {
		return false
	}
	if v.byKey == nil {
		v.byKey, v.bySelect = map[string]*revocation{}, map[selector][]*revocation{}
	}
	if old != nil {
		v.drop(key, old)
	}
	v.byKey[key] = r
	at := r.selector()
	v.bySelect[at] = append(v.bySelect[at], r)
	if r.Who.Subject != "" {
		v.subjects++
	}
	v.count.Store(int64(len(v.byKey)))
	return now.Before(r.Until)
}

// until returns when the revocation with the selector of r ends, the zero time if there is
// none.
func (v *revocations) until(r *revocation) time.Time {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if known := v.byKey[r.key()]; known != nil {
		return known.Until
	}
	return time.Time{}
}

// drop removes a revocation. It is called with mu held.
func (v *revocations) drop(key string, r *revocation) {
	delete(v.byKey, key)
	at := r.selector()
	rest := v.bySelect[at][:0:0]
	for _, other := range v.bySelect[at] {
		if other != r {
			rest = append(rest, other)
		}
	}
	if v.bySelect[at] = rest; len(rest) == 0 {
		delete(v.bySelect, at)
	}
	if r.Who.Subject != "" {
		v.subjects--
	}
	v.count.Store(int64(len(v.byKey)))
}

// sweep removes those that ended long ago, or have ended if there are many, and returns how
// many are left. Whether one is in force only match decides, by the wall clock.
func (v *revocations) sweep(now time.Time) int {
	switch n := v.count.Load(); {
	case n == 0:
		return 0
	case n < maxRevocations/2:
		now = now.Add(-sweepSlack)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, r := range v.byKey {
		if !now.Before(r.Until) {
			v.drop(key, r)
		}
	}
	return len(v.byKey)
}

// bySubject reports whether the subject of a token matters.
func (v *revocations) bySubject() bool {
	if v.count.Load() == 0 {
		return false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.subjects > 0
}

// match reports whether a token is refused. subject is the user whose token it is.
func (v *revocations) match(subject string, p *token.Payload, now time.Time) bool {
	if v.count.Load() == 0 {
		return false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	refused := func(at selector) bool {
		for _, r := range v.bySelect[at] {
			if now.Before(r.Until) && r.Who.matches(Recipient{Subject: subject}, p) {
				return true
			}
		}
		return false
	}
	if refused(selector{'t', p.ID}) || refused(selector{'s', subject}) || refused(selector{'c', p.Channel}) || refused(selector{}) {
		return true
	}
	for _, tag := range p.Tags {
		if refused(selector{'g', tag}) {
			return true
		}
	}
	return false
}
