package eventlog

import (
	"context"
	"errors"
)

var (
	// ErrUnavailable is returned by the methods of a [Shared] log, and yielded by its
	// replays, if the log cannot be reached or cannot answer reliably at the moment. The
	// call may succeed later. Append returns it only if the record is not stored;
	// otherwise it returns ErrUncertain.
	ErrUnavailable = errors.New("unavailable")
	// ErrFollowed is returned by Follow for a channel that already has a follower.
	ErrFollowed = errors.New("channel is followed already")
)

// Shared is a [Log] that several processes append to, each with its own Shared value, its
// handle. A process receives the records of other processes by following a channel.
// Implementations must pass the shared group of eventlogtest.RunStore.
//
// Each handle keeps the promises of a Log, with these differences:
//
//   - Append may be called with a nil deliver, and then sets only the Seq and Epoch of the
//     record. A follower of the channel receives the record independently of Append, as
//     it receives the records of other handles.
//   - After returns at least all records of the channel that a follower of this handle
//     has received, and all whose Append through this handle has returned. It compares a
//     position with the head of the whole log, because a client may have received more
//     from another process. If it cannot find out that head, it returns ErrUnavailable
//     rather than a replay that may lack records.
//   - Head of a channel that this handle follows does no I/O. Every record at or before it
//     was passed to the follower, and every later one will be. It returns ErrUnavailable if
//     the log could not be reached for too long.
//   - Trim does nothing, because one process must not drop the records of others. The log
//     has its own retention.
//   - Time is that of the log, whose clock may differ from the machine's by some seconds.
type Shared interface {
	Log

	// Follow passes the records that are appended to channel after from, through any
	// handle, to f, until stop is called. from is the newest record of the channel, or a later
	// position before the next. A handle has at most one follower of a channel, else
	// Follow returns ErrFollowed.
	//
	// When stop returns, no method of f is running and none is called again. stop must not
	// be called by f, nor while holding a lock that f takes. Calling it again does nothing.
	// Close stops all feeds in the same way.
	Follow(ctx context.Context, channel string, f Follower) (from Position, stop func(), err error)
}

// Follower receives the records of a channel. Its methods are never called concurrently;
// they must not block and must not call the log. Their panics are logged.
type Follower interface {
	// Deliver is called with records in order of Seq, each at most once. Some may be
	// missing: the Prev of the next record is then after the Seq of the previous one, or
	// after from if it is the first. The missing records can be read from the log. The log
	// ensures that a later record, or one of the missing ones, follows within seconds. The
	// record is immutable and may be kept.
	Deliver(r *Record)

	// Lost is called once, as the last method, when the feed cannot continue: the log was
	// replaced by another, it lost records that were acknowledged, or it could not be
	// reached for too long. The records that are left can be read with After. The channel
	// can be followed again.
	Lost(err error)
}
