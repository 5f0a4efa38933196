// Package fanout delivers the events of channels to the connections that read them.
//
// A [Channel] is a log and a tail: the records that were published lately, in memory,
// each encoded once. A [Reader] is a connection's place in it. It reads from the tail
// while it keeps up, and from the log when it has something to catch up with; nothing is
// queued for it, and a publisher never waits for it. The connection is a [Sink], which is
// woken when there is something to read and calls [Reader.Read] when it can write.
//
// The package knows the event log and the audiences of records. It does not know tokens,
// procedures and hooks, and it sends nothing but events: answers are the connection's.
//
// The files, each of which uses only those before it: frame.go has the frames of events
// and the id that they are shared for; tail.go and page.go have the events, encoded, of
// the tail and of the log, and history.go reads the log; reader.go has the state of a
// reader, and read.go what it reads in it; group.go and index.go find the readers of a
// record; channel.go puts them together.
//
// # Locks
//
// There are two locks, the tail's and the reader's, and the tail's is taken first. What
// each guards is documented where it is declared. They are held for a short time: never while a
// log is read or a sink is flushed.
package fanout
