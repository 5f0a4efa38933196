// Package eventlog stores the events of durable objects, so that a subscriber that
// was away can read the events that it missed.
//
// A [Log] holds many channels, the rooms of a chat for example. An event that is appended
// to a channel becomes a [Record] with a Seq, and can be replayed later from a
// [Position]. The position of the last event that a client saw is its event id;
// when the client comes back it sends that id, and [Log.After] reports whether all
// that followed is still there:
//
//	replay, err := log.After(ctx, "room", eventlog.PositionOf(lastEventID))
//	if err != nil {
//		return err
//	}
//	if replay.Truncated {
//		// Some events are gone. The client should load its state anew.
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
// A record is valid until the loop goes on. To keep one, take a [Record.Clone].
//
// # Stores
//
// [NewMemory] keeps events in the memory of the process, within bounds of age and
// size. Package filelog keeps them on disk. [Prefix] lets several namespaces share
// one log. Other stores implement [Log] and prove it with package eventlogtest.
//
// A [Shared] log is one that several processes append to. Each follows the channels
// that it has subscribers of.
//
// A log may have a [Bus], which carries small messages between the processes and keeps
// small values for them: see [BusOf].
//
// # Order
//
// A log has one counter, so Seqs compare across its channels. In a channel each
// record has the Seq of the one before it as its Prev: a reader that has a record and
// receives one whose Prev is newer has missed something. No Seq is ever used again.
//
// # Positions
//
// A position is complete for as long as the log knows what came after it. It has an
// epoch, since a log that lost its last records, or all of them, may count through
// the same Seqs again: it begins a new epoch then. A replay from a position is
// truncated if the epoch is unknown, if the Seq is ahead of what was kept of the
// epoch, or if records after it were dropped. It then yields all that is retained.
//
// A log may forget a channel of which nothing is left. Positions in it that are
// older than what the log forgot last are truncated then, though it may be that
// nothing followed them: a replay is complete only if the log knows that it is. The
// zero Position, "0", asks for what is retained. It is always complete.
//
// # Volume
//
// Since Seqs count the records of all channels, the event ids that a client sees show how
// much was written to the whole log meanwhile, to any channel of it. That is by design:
// ids are points in time that hold for every channel. Tenants who must not learn of each
// other's volume need a log each; [Prefix] does not hide it.
//
// # Audience
//
// Each event has an audience, see [Audience.Includes]. The log stores it and does not
// act on it: After yields the events of all audiences.
package eventlog
