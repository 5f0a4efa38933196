package eventlog

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Errors that a caller may branch on. Stores wrap them with details.
var (
	// ErrClosed is returned by every method but Close of a log that was closed,
	// and yielded by a replay that was not at its end by then.
	ErrClosed = errors.New("eventlog: closed")
	// ErrTooLarge is returned by Append for a record that the store could never hold.
	ErrTooLarge = errors.New("eventlog: record too large")
	// ErrUncertain is returned by Append when the store does not know whether the
	// record will be there after a restart, for example after a failed fsync.
	// The process that got the error never delivers such a record.
	ErrUncertain = errors.New("eventlog: outcome uncertain")
	// ErrTrimmed is yielded by a replay if records that it had still to yield
	// were dropped meanwhile. Everything up to the record yielded last was
	// complete; another After from there returns a truncated replay.
	ErrTrimmed = errors.New("eventlog: trimmed during replay")
)

// Replay is the records that a channel retains after a position.
type Replay struct {
	// Truncated is set if records after the position may be missing: its epoch
	// is unknown, it is ahead of what its epoch kept, or it lies before the
	// channel's floor. Records then yields all that is retained. The floor is
	// the Seq of the last record dropped from the channel, or from the log if
	// nothing of the channel is left and the log has forgotten it.
	Truncated bool
	// Records yields the records in order of Seq. It reads as it goes, never
	// the whole history at once, and ends at the log's head at the time of the
	// call or later. It stops after yielding an error: that of After's context,
	// ErrTrimmed, ErrClosed, or one of the store. It holds no lock while the
	// caller works. It can be ranged over once.
	//
	// A record, with all that it refers to, is valid until the loop goes on or ends:
	// a store that reads from a disk then uses its memory for the next one. A caller
	// that keeps it longer keeps a Clone.
	Records iter.Seq2[*Record, error]
}

// Log stores the events of many channels in one order. Implementations are safe
// for concurrent use and pass eventlogtest.Run. Any string is a channel name. Every
// method that takes a context returns its error if it has already ended.
type Log interface {
	// Append stores r as the newest record of channel, sets its Seq, Prev, Epoch
	// and Time, and returns once it is as durable as the log promises. Before it
	// returns, deliver was called with the record: for each channel in order of
	// Seq and never concurrently, after the record is stored, by whichever
	// goroutine committed it. deliver must not block and must not call the log. If it
	// panics the record is stored nevertheless, and the log goes on: the panic is that of
	// Append if deliver runs on its goroutine, else it is logged.
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
