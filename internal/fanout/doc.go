// Package fanout delivers the events of channels to the connections that read them.
//
// A [Channel] has a log and a tail: the newest records, in memory, each encoded once. A [Reader]
// is the position of a connection in the channel. It reads from the tail while it keeps up, and
// from the log when it has to catch up. Nothing is queued for it, and a publisher never waits for
// it. The connection is a [Sink], which is woken when there is something to read and calls
// [Reader.Read] when it can write.
//
// The package uses the event log and the audiences of records. It does not depend on tokens,
// procedures or hooks, and it sends only events; the connection sends answers.
//
// Each file uses only those before it, except that feed.go and channel.go use each other:
// frame.go has the frames of events, and the id that they are shared for. page.go and tail.go have
// encoded events, of the log and the newest ones, and past.go and history.go read the log. reader.go
// has the states of a reader; prepare.go prepares its subscriptions, read.go reads events, and
// progress.go describes how far it is. group.go and index.go find the readers of a record. feed.go
// receives the records of a shared log, channel.go puts everything together, and cursors.go keeps
// the positions of clients up to date.
//
// # Locks
//
// There are two locks, that of the tail and that of a reader; the tail's is taken first. Their
// declarations document what they guard. They are held only briefly, and never while a log is
// read or a sink is flushed.
package fanout
