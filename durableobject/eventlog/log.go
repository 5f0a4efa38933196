package eventlog

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Errors that callers may test for with [errors.Is]. Stores wrap them with details.
var (
	// ErrClosed is returned by every method but Close of a closed log, and yielded by
	// a replay that had not ended when the log was closed.
	ErrClosed = errors.New("closed")
	// ErrTooLarge is returned by Append for a record that the store could never hold.
	ErrTooLarge = errors.New("record too large")
	// ErrUncertain is returned by Append if the store does not know whether the record
	// will exist after a restart, for example after a failed fsync. The process that
	// received the error never delivers such a record.
	ErrUncertain = errors.New("outcome uncertain")
	// ErrTrimmed is yielded by a replay if records that it had not yielded yet were
	// dropped. The replay is complete up to the last record that it yielded; calling
	// After with that position returns a truncated replay.
	ErrTrimmed = errors.New("trimmed during replay")
)

// Replay holds the records that a channel retains after a position.
type Replay struct {
	// Truncated is set if records after the position may be missing: its epoch is
	// unknown, it is after the last record kept of its epoch, or it is before the
	// channel's floor. Records then yields all records that are retained. The floor is
	// the Seq of the last record dropped from the channel or, if the log has forgotten
	// the channel because it has no records left, of the last record dropped from the
	// log.
	Truncated bool
	// Records yields the records in order of Seq. It reads them as they are consumed,
	// never the whole history at once, and ends at the head of the log at the time of
	// the call or later. It stops after yielding an error: the error of After's context,
	// ErrTrimmed, ErrClosed, or one of the store. No lock is held while the loop body
	// runs. Records can be ranged over once.
	//
	// A record and all that it refers to are valid only until the next iteration,
	// because the store may reuse its memory. To keep a record longer, clone it.
	Records iter.Seq2[*Record, error]
}

// Log stores the events of many channels in one order. Implementations must be safe for
// concurrent use and pass eventlogtest.Run. Any string is a channel name. Every method
// that takes a context returns the context's error if it has already ended.
type Log interface {
	// Append stores r as the newest record of channel, sets its Seq, Prev, Epoch
	// and Time, and returns when it is as durable as the log promises. After the record
	// is stored and before Append returns, deliver is called with it, on any goroutine:
	// for each channel in order of Seq and never concurrently. deliver must not block
	// and must not call the log. If it panics, the record is stored nevertheless, and the
	// log continues to work; Append panics too if deliver runs on its goroutine, and
	// otherwise the panic is logged.
	//
	// If Append fails, deliver was not called and never will be, with one
	// exception: if ctx ends while the record is already being committed, Append
	// returns ctx's error, but the record may still be stored and delivered.
	Append(ctx context.Context, channel string, r *Record, deliver func(*Record)) error

	// After returns the records that channel retains after p. For the zero Position it
	// returns all records that are retained, and the replay is never truncated.
	After(ctx context.Context, channel string, p Position) (Replay, error)

	// Head returns the current end of the channel: every record stored so far is at or
	// before it and has been passed to its deliver, and every later record will be
	// after it. It is at or after the channel's newest record, also if that was dropped
	// since; it may be after it because of records of other channels. For a log that
	// never had a record, it returns the log's epoch and Seq 0.
	Head(ctx context.Context, channel string) (Position, error)

	// Trim drops records older than before, as far as the store can, and no others.
	// Replays from before the dropped records are then truncated. A record whose Time
	// is in the future, because the machine's clock was set back after it was written,
	// counts as old as the log has been running since then, if the store knows that.
	Trim(ctx context.Context, before time.Time) error

	// Close releases the log. It waits until no deliver is running, so deliver must not
	// call it; after it has returned, none is called. Appends that are not stored by
	// then return ErrClosed. In a durable log, records that were acknowledged stay
	// stored. Closing a closed log does nothing and returns nil.
	Close() error
}
