// Package eventlog stores the events of durable objects, so that a subscriber that was
// disconnected can read the events that it missed.
//
// A [Log] has many channels, for example the rooms of a chat. An event that is appended
// to a channel becomes a [Record] with a Seq, and can be replayed later from a
// [Position]. The id of an event is the position of its record. A client that reconnects
// sends the id of the last event that it has received, and [Log.After] returns the records
// after it and reports whether some of them are missing:
//
//	replay, err := log.After(ctx, "room", eventlog.PositionOf(lastEventID))
//	if err != nil {
//		return err
//	}
//	if replay.Truncated {
//		// Some events have been dropped. The client should reload its state.
//	}
//	for r, err := range replay.Records {
//		if err != nil {
//			return err
//		}
//		if r.Includes(tags, recipient) {
//			send(r.Position().String(), r.Data)
//		}
//	}
//
// A record is valid only until the next iteration. To keep it longer, call [Record.Clone].
//
// # Stores
//
// [NewMemory] keeps events in the memory of the process, up to a limit of age and
// size. Package filelog keeps them on disk, package natslog in NATS JetStream. [Prefix]
// lets several namespaces share one log. Other stores implement [Log] and are tested with
// package eventlogtest.
//
// A [Shared] log is one that several processes append to. Each process follows the
// channels that its clients have subscribed to.
//
// A log may have a [Bus], which sends small messages between the processes and stores
// small values for them: see [BusOf].
//
// # Order
//
// A log has one counter, so Seqs of different channels can be compared. The Prev of a
// record is the Seq of the previous record of its channel: a reader that receives a
// record whose Prev is after the last one that it has read has missed records. A Seq is
// never used twice.
//
// # Positions
//
// A position has an epoch and a Seq. A log that has lost its last records, or all of them,
// may use their Seqs again, so it begins a new epoch. A replay from a position is truncated
// if its epoch is unknown, if its Seq is after the last record kept of that epoch, or if
// records after it were dropped. A truncated replay yields all records that are retained.
//
// A log may forget a channel that has no records left. Replays from old positions in that
// channel are then truncated, even if no records followed them: a replay is reported as
// complete only if the log knows that it is. A replay from the zero Position, "0", yields
// all records that are retained, and is always complete.
//
// # Volume
//
// Since Seqs count the records of all channels, the event ids that a client sees show how
// many records were written to the whole log. That is by design: an id is a point in time
// in every channel. Tenants that must not learn of each other's volume need separate logs;
// [Prefix] does not hide it.
//
// # Audience
//
// Each event has an audience, see [Audience.Includes]. The log stores it but does not
// filter by it: After yields the events of all audiences.
package eventlog
