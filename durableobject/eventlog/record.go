package eventlog

import (
	"bytes"
	"slices"
	"time"
)

// Record is a stored event. After it was passed to Append it must not be changed, because
// the log and all receivers share it. A replay may yield the same Record with other content
// again, see [Replay].
type Record struct {
	// Seq is the number of the record. A log has one counter for all channels, so a Seq
	// is a point in time in each of them. It begins with 1, or with a number that a
	// shared log chooses. Set by the log.
	Seq uint64
	// Prev is the Seq of the previous record of the same channel, or 0 if there
	// never was one. A log that has dropped all records of a channel may forget the
	// channel: Prev is then the log's floor, which is at or after that previous
	// record. The channel has no records between Prev and Seq. Set by the log.
	Prev uint64
	// Epoch is the epoch that the record was written in. Set by the log.
	Epoch string
	// Time is when the record was written. It is never before the Time of an earlier
	// record of the log. Set by the log.
	Time time.Time
	// Data is the encoded event: a serialized value.
	Data []byte
	// Meta is the event's metadata without its id, as the members of a JSON
	// object without the braces; nil if there is none.
	Meta []byte
	// Key makes appending the record idempotent in a [Keyed] log: the log stores only one
	// record for each Key of a channel. It has at most MaxKeyBytes; empty means no key.
	// Records of a replay may lack it.
	Key string
	// Audience selects the clients that the event is for.
	Audience
}

// Clone returns a deep copy of r. Fields that are nil in r are nil in the copy.
func (r *Record) Clone() *Record {
	c := *r
	c.Data, c.Meta = bytes.Clone(r.Data), bytes.Clone(r.Meta)
	c.Tags, c.Targets, c.Excludes = slices.Clone(r.Tags), slices.Clone(r.Targets), slices.Clone(r.Excludes)
	return &c
}

// Audience selects the clients that an event is for. The zero Audience selects all.
type Audience struct {
	// Tags limits the event to clients that have at least one of these tags. Nil means
	// no limit; an empty list that is not nil selects no client.
	Tags []string
	// Targets limits the event to these recipients. Nil means no limit; an empty list
	// that is not nil selects no client.
	Targets []Recipient
	// Excludes lists recipients that do not receive the event, even if they are in
	// Targets.
	Excludes []Recipient
}

// Recipient identifies a client by the id that it connected with and, if the application
// sets durableobject.Options.Subject, by the subject of its token.
type Recipient struct{ Subject, ID string }

// Includes reports whether the event is for the client r, whose token has these tags: r is
// not excluded, is a target if there are targets, and has one of the tags if there are
// tags. Replays and live delivery both use it. It is oRPC's rule.
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
