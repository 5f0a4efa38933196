// Package natslog keeps the events of durable objects in a NATS JetStream stream, which
// all nodes of a service share. [Log] is an [eventlog.Shared]: what one node publishes
// reaches the subscribers of all, and a client may resume at any of them.
//
//	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
//	if err != nil {
//		return err
//	}
//	defer nc.Close()
//	log, err := natslog.Open(ctx, nc, &natslog.Options{Stream: "chat", Replicas: 3})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//
// # Stream
//
// One stream holds all channels. Open creates it, or checks the one that is there and
// returns [ErrConfig] with what differs. It must drop nothing but its oldest messages:
// JetStream keeps no floor of each subject, and a stream with a limit for each subject,
// roll-ups, deletes or purges could lose events unseen. A purge of the whole stream by an
// operator, who has to allow it first, is noticed: resumes are truncated.
//
// Retention is that of the stream. Options.ResumeRetention of a namespace should not be
// longer. Trim does nothing.
//
// # Guarantees
//
// Append returns when the stream's leader has acknowledged the message. What that is
// worth is up to the stream and the servers:
//
//	1 replica   the server's process may crash; a loss of power may take what was written
//	            within its sync_interval, two minutes by default
//	            (sync_interval: always costs nine tenths of the throughput)
//	3 replicas  one server may fail in any way, since two have stored the message
//	memory      the message survives as long as one of its servers runs
//
// A message is sent again, under the same id, until it is acknowledged: it is stored once.
// After 30 seconds, or less if that is what the stream remembers ids for, Append returns
// [eventlog.ErrUncertain].
//
// The key of a record is a message id, too: the stream stores one message for each within
// its duplicate window, from whichever node it comes, also when another server becomes the
// leader. The servers do not learn the key, only a hash of the channel and the key.
//
// If the stream is deleted and made anew, or loses records that were acknowledged, a new
// epoch begins: followers are lost, and all positions of the old epoch are truncated. A
// node notices that at once when it reconnects, else within Options.TailCheck. It cannot
// be noticed if all nodes were down as well: then run three replicas, or sync always.
//
// # Feeds
//
// The server republishes what it stores, with the Seq of the message before it of the same
// subject. A feed that misses one reads the stream. Since the last one may be missed
// too, the newest messages of all followed channels are compared with the stream's
// every Options.TailCheck. Records that followers received lately are kept in memory,
// up to Options.CacheBytes, and most resumes are served from there.
//
// # Bus
//
// [Log.Bus] is the [eventlog.Bus] over which nodes learn who is connected to the others, and
// whom to disconnect. Its messages go to the subjects "dib.<stream>.>", which no stream has;
// what it keeps is in a second stream, "<stream>_bus", under "dik.<stream>.>".
//
// # Out of reach
//
// Calls that need the server return [eventlog.ErrUnavailable] when it does not answer.
// After ten seconds so do those that do not, and after thirty all feeds are lost, so that
// clients look for another node.
//
// # Trust
//
// A client of NATS that may publish to the subjects of the stream can publish events, and
// one that may publish to the republished ones can make feeds be lost; one that may publish
// to those of the bus can have sockets closed. All are for the nodes' account only:
// testdata/accounts.conf grants a node what it needs, and no more. Messages that are no records
// are counted, logged and skipped.
package natslog
