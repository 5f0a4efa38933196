package durableobject

import "time"

const (
	// endingsFor is how long a stay that has ended is remembered at least. It is longer than
	// another node may keep the claims of a node that is gone.
	endingsFor = 30 * time.Second
	// maxEndings is about how many are remembered. If there are more, the older half is
	// forgotten.
	maxEndings = 20_000
)

// endings has the members that left recently, with the Since of that stay. A node that has just
// started may receive the claims of a node that is gone after the messages that their members have
// left. The zero value is empty.
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

// has reports whether the stay that began at since has ended.
func (e *endings) has(key memberKey, since time.Time) bool {
	for _, ended := range []map[memberKey]time.Time{e.recent, e.older} {
		if at, found := ended[key]; found && at.Equal(since) {
			return true
		}
	}
	return false
}
