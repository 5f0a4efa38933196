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
// The files, each of which uses only those before it: frame.go has the frames of events
// and the id that they are shared for; tail.go and page.go have the events, encoded, of
// the tail and of the log, and history.go reads the log; reader.go has the state of a
// reader, and read.go what it reads in it; group.go and index.go find the readers of a
// record; channel.go puts them together.
//
// # Locks
//
// There are two locks, that of the tail and that of a reader; the tail's is taken first. Their
// declarations document what they guard. They are held only briefly, and never while a log is
// read or a sink is flushed.
package fanout
