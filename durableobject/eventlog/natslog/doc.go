// Package natslog stores the events of durable objects in a NATS JetStream stream that all
// nodes of a service share. [Log] is an [eventlog.Shared]: events that are published by one
// node reach the subscribers of all nodes, and a client may resume at any node.
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
// One stream has all channels. Open creates it, or checks the settings of an existing one
// and returns [ErrConfig] if they differ. The stream must drop only its oldest messages:
// with limits for each subject, roll-ups, deletes or purges events could be lost without
// being noticed, since JetStream does not record what was dropped of a subject. If an
// operator permits and runs a purge of the whole stream, it is noticed, and resumes are
// truncated.
//
// The stream has the retention. Options.ResumeRetention of a namespace should not be longer.
// Trim does nothing.
//
// # Guarantees
//
// Append returns when the stream's leader has acknowledged the message. The settings of the
// stream and the servers determine which failures it survives:
//
//	1 replica   a crash of the server's process; a loss of power may lose messages of the
//	            last sync_interval, two minutes by default
//	            (sync_interval: always reduces the throughput to a tenth)
//	3 replicas  any failure of one server, since two have stored the message
//	memory      any failure as long as one of its servers keeps running
//
// A message is sent repeatedly, with the same message id, until it is acknowledged, and is
// stored only once. After 30 seconds, or earlier if the stream remembers message ids for
// less time, Append returns [eventlog.ErrUncertain].
//
// The message id of a record with a key is a hash of the channel and the key: the stream
// stores only one message for each key within its duplicate window, whichever node sends it,
// even if another server becomes the leader. The servers do not learn the key itself.
//
// If the stream is deleted and created again, or loses acknowledged records, a new epoch
// begins: all feeds are lost, and resumes from positions of the old epoch are truncated. A
// node notices this at once when it reconnects, and otherwise within Options.TailCheck. It
// is not noticed if all nodes were down as well; if this matters, use three replicas or
// sync_interval: always.
//
// # Feeds
//
// The server republishes each message that it stores, with the Seq of the previous message
// of the same subject. A feed that has missed one reads it from the stream. Since the last
// message may be missed too, the newest messages of all followed channels are compared with
// the stream every Options.TailCheck. The newest records of followed channels are cached in
// memory, up to Options.CacheBytes, and most resumes are served from there.
//
// # Bus
//
// [Log.Bus] is the [eventlog.Bus] over which the nodes exchange presence and revocations. It
// publishes messages to the subjects "dib.<stream>.>", which no stream stores, and stores
// values in a second stream, "<stream>_bus", under "dik.<stream>.>".
//
// # Failures of the servers
//
// Calls that need a server return [eventlog.ErrUnavailable] if it does not respond. After
// ten seconds without a server, all calls do. After thirty seconds all feeds are lost, so
// that clients connect to another node.
//
// # Trust
//
// A NATS client that may publish to the subjects of the stream can publish events, one that
// may publish to the republished subjects can cause feeds to be lost, and one that may
// publish to the subjects of the bus can have sockets closed. Permit them only to the
// account of the nodes: testdata/accounts.conf grants a node exactly what it needs. Messages
// that are not valid records are counted, logged and skipped.
package natslog
