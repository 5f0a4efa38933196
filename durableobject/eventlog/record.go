package eventlog

import (
	"bytes"
	"slices"
	"time"
)

// Record is one stored event. It is immutable once it was passed to Append: the log
// and all that it delivers the record to share one copy. A replay may yield a record
// that it uses again, see [Replay].
type Record struct {
	// Seq numbers records. There is one counter per log, so a Seq is a point in
	// time in every channel of the log. The first is 1, or that which a shared log
	// begins with. Set by the log.
	Seq uint64
	// Prev is the Seq of the previous record of the same channel, 0 if there
	// never was one. A log that dropped all records of a channel may forget the
	// channel: Prev is then the log's floor, which is at or after that previous
	// record. No record of the channel lies between Prev and Seq. Set by the log.
	Prev uint64
	// Epoch is the epoch that the record was written in. Set by the log.
	Epoch string
	// Time is when the record was written: never before that of an earlier
	// record of the log. Set by the log.
	Time time.Time
	// Data is the encoded event: a serialized value.
	Data []byte
	// Meta is the event's metadata without its id, as the members of a JSON
	// object without the braces; nil if there is none.
	Meta []byte
	// Key makes the append of the record idempotent in a log that is [Keyed]: the log
	// stores one record for each Key of a channel. It is at most MaxKeyBytes long; empty is
	// no key. A replay may leave it out.
	Key string
	// Audience selects the clients that the event is for.
	Audience
}

// Clone returns a deep copy. Fields that are nil in r are nil in it.
func (r *Record) Clone() *Record {
	c := *r
	c.Data, c.Meta = bytes.Clone(r.Data), bytes.Clone(r.Meta)
	c.Tags, c.Targets, c.Excludes = slices.Clone(r.Tags), slices.Clone(r.Targets), slices.Clone(r.Excludes)
	return &c
}

// Audience selects the clients that an event is for. The zero Audience selects all.
type Audience struct {
	// Tags limits the event to subscribers that have at least one of them. Nil
	// is no limit; empty and not nil selects no client.
	Tags []string
	// Targets limits the event to these recipients. Nil is no limit; empty and
	// not nil selects no client.
	Targets []Recipient
	// Excludes withholds the event from these recipients. It wins over Targets.
	Excludes []Recipient
}

// Recipient names a client by the id it connected with and, where the
// application sets durableobject.Options.Subject, by the subject of its token.
type Recipient struct{ Subject, ID string }

// Includes reports whether the event is for the client r whose token has these
// tags. Replay and live delivery both ask it, so they cannot differ. Everything
// must hold: r is not excluded, is a target if there are targets, and has one of
// the tags if there are tags. It is oRPC's rule.
func (a *Audience) Includes(tags []string, r Recipient) bool {
	if slices.Contains(a.Excludes, r) {
		return false
	}
	if a.Targets != nil && !slices.Contains(a.Targets, r) {
		return false
	}
	return a.Tags == nil || slices.ContainsFunc(a.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
}

// Everybody reports whether the event is for all clients.
func (a *Audience) Everybody() bool {
	return a.Tags == nil && a.Targets == nil && len(a.Excludes) == 0
}
