package durableobject

import "time"

const (
	// endingsFor is how long at least a stay that has ended is remembered: longer than another
	// node may have the claims of one that is gone.
	endingsFor = 30 * time.Second
	// maxEndings is how many are, about. With more, the older half is forgotten.
	maxEndings = 20_000
)

// endings are the members that have left a short time ago, with the Since of that stay. A node
// that has just started may be sent the claims of a node that is gone after it was sent that
// their members have left. The zero value has none.
type endings struct {
	recent, older map[memberKey]time.Time
	turnedAt      time.Time
}

// add adds the end of a stay.
func (e *endings) add(key memberKey, since time.Time) {
	if now := time.Now(); e.recent == nil || len(e.recent) >= maxEndings/2 || now.Sub(e.turnedAt) >= endingsFor {
		e.older, e.recent, e.turnedAt = e.recent, map[memberKey]time.Time{}, now
	}
	e.recent[key] = since
}

// has reports whether the stay that has begun at since has ended.
func (e *endings) has(key memberKey, since time.Time) bool {
	for _, ended := range []map[memberKey]time.Time{e.recent, e.older} {
		if at, found := ended[key]; found && at.Equal(since) {
			return true
		}
	}
	return false
}
