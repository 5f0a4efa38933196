package eventlog

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// Errors that a caller may branch on. Stores wrap them with what they know.
var (
	// ErrClosed is returned by every method but Close of a log that was closed,
	// and yielded by a replay that was not at its end by then.
	ErrClosed = errors.New("eventlog: closed")
	// ErrTooLarge is returned by Append for a record that the store could never hold.
	ErrTooLarge = errors.New("eventlog: record too large")
	// ErrUncertain is returned by Append when the store cannot tell whether the
	// record will be there after a restart, for example after a failed fsync.
	// Such a record is never handed to subscribers by the process that got the error.
	ErrUncertain = errors.New("eventlog: outcome uncertain")
	// ErrTrimmed is yielded by a replay if records that it had still to yield
	// were dropped meanwhile. Everything up to the record yielded last was
	// complete; another After from there gives a truncated replay.
	ErrTrimmed = errors.New("eventlog: trimmed during replay")
)

// Record is one stored event. It is immutable once it was given to Append: the
// log and everybody that it delivers the record to share one copy. A replay may
// yield a record that it uses again, see [Replay].
type Record struct {
	// Seq numbers records. There is one counter per log, so a Seq is a point in
	// time in every channel of the log. The first is 1. Set by the log.
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
	// Data is the encoded event: the text of a serialized value.
	Data []byte
	// Meta is the event's metadata without its id, as the members of a JSON
	// object without the braces; nil if there is none.
	Meta []byte
	// Audience says whom the event is for.
	Audience
}

// Clone returns a copy that is the caller's own. What is nil in r is nil in it.
func (r *Record) Clone() *Record {
	c := *r
	c.Data, c.Meta = bytes.Clone(r.Data), bytes.Clone(r.Meta)
	c.Tags, c.Targets, c.Excludes = slices.Clone(r.Tags), slices.Clone(r.Targets), slices.Clone(r.Excludes)
	return &c
}

// Audience says whom an event is for. The zero Audience is everybody.
type Audience struct {
	// Tags limits the event to subscribers that have at least one of them. Nil
	// is no limit; empty and not nil is nobody.
	Tags []string
	// Targets limits the event to these recipients. Nil is no limit; empty and
	// not nil is nobody.
	Targets []Recipient
	// Excludes keeps the event from these recipients. It wins over Targets.
	Excludes []Recipient
}

// Recipient names a client by the id it connected with and, where the
// application sets durableobject.Options.Subject, by the subject of its token.
type Recipient struct{ Subject, ID string }

// Position is a point in a log. As an event id on the wire it is the string
// "<epoch>-<seq>", see String and ParsePosition. The zero Position, which is "0",
// is before everything that is retained.
type Position struct {
	Epoch string
	Seq   uint64
}

// Replay is what a channel retains after a position.
type Replay struct {
	// Truncated is set if records after the position may be missing: its epoch
	// is unknown, it is ahead of what its epoch kept, or it lies before the
	// channel's floor. Records then yields all that is retained. The floor is
	// the Seq of the last record dropped from the channel, or from the log if
	// nothing of the channel is left and the log has forgotten it.
	Truncated bool
	// Records yields the records in order of Seq. It reads as it goes, never
	// the whole history at once, and ends at the log's head at the time of the
	// call or later. It stops after yielding an error: that of the context given
	// to After, ErrTrimmed, ErrClosed, or one of the store. It holds no lock
	// while the caller works. It can be ranged over once.
	//
	// A record, with all that it refers to, is good until the loop goes on or ends:
	// a store that reads from a disk then uses its memory for the next one. Whoever
	// keeps it longer keeps a Clone.
	Records iter.Seq2[*Record, error]
}

// Log stores the events of many channels in one order. Implementations are safe
// for concurrent use and pass eventlogtest.Run. Any text is a channel name. Every
// method that takes a context returns its error if it has already ended.
type Log interface {
	// Append stores r as the newest record of channel, sets its Seq, Prev, Epoch
	// and Time, and returns once it is as durable as the log promises. Before it
	// returns, deliver was called with the record: for each channel in order of
	// Seq and never concurrently, after the record is stored, by whichever
	// goroutine committed it. deliver must not block and must not call the log.
	//
	// If Append fails, deliver was not called and never will be, with one
	// exception: if ctx ends while the record is already being committed, Append
	// returns ctx's error and the record may be stored and delivered all the same.
	Append(ctx context.Context, channel string, r *Record, deliver func(*Record)) error

	// After returns what channel retains after p. The zero Position asks for all
	// that is retained and never is truncated, whatever the log has dropped before.
	After(ctx context.Context, channel string, p Position) (Replay, error)

	// Head returns a position that every record of channel stored so far is at
	// or before, and no later record will be: all records of channel up to it
	// have been passed to their deliver. It is at least the channel's newest
	// record, also if that was dropped since, and may be ahead of it where other
	// channels wrote since. A log that never held anything returns its epoch and
	// Seq 0.
	Head(ctx context.Context, channel string) (Position, error)

	// Trim drops records older than before, as far as the store can, and never
	// others. Positions before what was dropped become truncated. A record whose
	// Time is in the future, since the machine's clock was set back after it was
	// written, is as old as the log has run since then, if the store knows that.
	Trim(ctx context.Context, before time.Time) error

	// Close releases the log. It waits until no deliver runs, so it must not be
	// called by one; none is called after it returned. Appends that were not
	// stored by then return ErrClosed. Records that were acknowledged stay stored
	// where the log is durable. Closing again does nothing and returns nil.
	Close() error
}
