package eventlog

import (
	"context"
	"errors"
)

var (
	// ErrUnavailable is returned by the methods of a [Shared] log, and yielded by its
	// replays, when the log cannot be reached or not be asked reliably just now. The
	// call may succeed later. Append returns it only if the record is not stored, else
	// ErrUncertain.
	ErrUnavailable = errors.New("eventlog: unavailable")
	// ErrFollowed is returned by Follow for a channel that has a follower already.
	ErrFollowed = errors.New("eventlog: channel is followed already")
)

// Shared is a Log that other processes append to as well, each through a handle of its
// own. A process learns of their records by following a channel. Implementations pass
// the shared group of eventlogtest.RunStore.
//
// The promises of a Log hold for each handle, with these differences:
//
//   - Append may be called with a nil deliver, and then sets only Seq and Epoch of its
//     record. A follower of the channel receives the record independently of Append, as
//     it receives those of other handles.
//   - After covers at least all records of the channel that a follower of this handle
//     has received, and all whose Append through this handle has returned. The head that
//     it compares a position with is the log's own: a client may have seen more at
//     another process. If that cannot be found out the error is ErrUnavailable, never
//     a replay that may have a hole.
//   - Head of a channel that this handle follows is answered without asking others. Every
//     record at or before it was passed to the follower, and every later one will be. It
//     is ErrUnavailable if the log has been out of reach for too long.
//   - Trim drops nothing, since one process must not cost the others their records. The
//     log keeps a retention of its own.
//   - Time is that of the log, whose clock may differ from the machine's by some
//     seconds.
type Shared interface {
	Log

	// Follow passes the records that are appended to channel after from, through any
	// handle, to f, until stop is called. from is the newest record of the channel, or a later
	// position before the next. A handle has at most one follower of a channel, else
	// Follow returns ErrFollowed.
	//
	// When stop returns, no call of f runs, and none will come. It must not be called by
	// f, nor with a lock held that f takes. Calling it again does nothing. Close stops
	// all feeds in the same way.
	Follow(ctx context.Context, channel string, f Follower) (from Position, stop func(), err error)
}

// Follower receives the records of a channel. Its methods are never called concurrently;
// they must not block and must not call the log. Their panics are logged.
type Follower interface {
	// Deliver is called with records in order of Seq, each at most once. Some may be left
	// out: the Prev of the next one is then later than the Seq of the one before it, or
	// than from for the first. The missing records are in the log. The log makes sure that
	// a later record, or one of those left out, follows within seconds. The record is
	// immutable and may be kept.
	Deliver(r *Record)

	// Lost is called last, instead of more records, when the feed cannot go on: the log
	// was replaced by another, it lost records that were acknowledged, or it was out of
	// reach for too long. After returns the records that are left after a position.
	// The channel can be followed anew.
	Lost(err error)
}
