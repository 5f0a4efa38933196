package durableobject

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
)

// Stats describes the state of a namespace in this process: see [Namespace.Stats]. The first
// four fields are current values; the others count from NewNamespace on and never decrease.
type Stats struct {
	// Channels is the number of channels in memory.
	Channels int
	// Websockets is the number of open sockets.
	Websockets int
	// Subscriptions is the number of sockets with a subscription.
	Subscriptions int
	// Behind is the number of sockets that are too slow for live events and read from the
	// log: see [WebsocketBehind].
	Behind int

	// Publishes counts the events that PublishEvent has stored, PublishErrors its failed
	// calls. A repetition of an event with an idempotency key is counted again only if nodes
	// share the log.
	Publishes, PublishErrors uint64
	// Deliveries counts the events of channels that were passed to a connection, once for
	// each connection. Events of Websocket.Send are not counted.
	Deliveries uint64
	// BytesSent counts the bytes that were passed to connections: frames with their headers.
	BytesSent uint64
	// Calls counts the calls of methods, including their interceptors, by result: [ResultOK]
	// or the code of the error. It distinguishes at least 64 codes and counts the others as
	// [ResultOther]. A call that its client has aborted has the result
	// CLIENT_CLOSED_REQUEST. A stream of events is counted once, when it begins.
	Calls map[string]uint64
	// Subscribes counts the subscriptions. ResumesComplete counts those that resumed and
	// missed nothing, ResumesTruncated those for which events were missing.
	Subscribes, ResumesComplete, ResumesTruncated uint64
	// Closes counts the closed sockets by close code: the code that was sent first, by the
	// server or the client. 1005 means a close frame without a code, 1006 a connection that
	// ended without a close frame. Codes from 3000 on that clients have sent are counted as
	// 3000.
	Closes map[int]uint64
	// Refusals counts the refused clients by reason, such as [RefusedSignature]: requests to
	// open a socket, and new tokens for open sockets. Reasons that have not occurred are
	// omitted. The causes are logged by Options.Logger.
	Refusals map[string]uint64
}

// Stats returns the state of the namespace in this process; other nodes have their own. It
// visits every socket, which takes about a millisecond for 10,000. The figures are not of a
// single instant.
func (ns *Namespace[H]) Stats() Stats {
	s := Stats{}
	for _, ch := range ns.class.channels.stats(&s.Publishes) {
		s.Channels++
		s.Websockets += ch.Websockets
		s.Subscriptions += ch.Subscriptions
		s.Behind += ch.Behind
	}
	s.Deliveries, s.BytesSent = ns.class.pool.Traffic()
	ns.class.counters.fill(&s)
	s.Refusals = ns.class.refusals.counts()
	return s
}

// ChannelStats describes a channel that is in memory: see [Namespace.Channels].
type ChannelStats struct {
	// Name is the name of the channel, as in tokens.
	Name string
	// Websockets is the number of sockets that are connected to it in this process,
	// Subscriptions the number of these with a subscription, and Behind the number of these
	// that are behind.
	Websockets, Subscriptions, Behind int
	// MaxLagEvents and MaxLagBytes are the maxima of its sockets: see [WebsocketStats].
	MaxLagEvents int
	MaxLagBytes  int64
	// Publishes is the number of events that this process has published since the channel
	// was created in memory.
	Publishes uint64
}

// Channels returns the channels that are in memory in this process, sorted by name: those with
// a socket, and those that were used within Options.IdleTimeout. It does not create objects or
// delay their eviction. It takes as long as [Namespace.Stats].
func (ns *Namespace[H]) Channels() []ChannelStats {
	var publishes uint64
	list := ns.class.channels.stats(&publishes)
	slices.SortFunc(list, func(a, b ChannelStats) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Websockets returns the sockets of a channel, as [Object.Websockets] does. It does not create
// an object or delay its eviction.
func (ns *Namespace[H]) Websockets(channel string, tags ...string) iter.Seq[*Websocket] {
	return ns.class.channels.websockets(channel, tags)
}

// WebsocketState is the state of a socket.
type WebsocketState string

// The states of a socket.
const (
	// WebsocketUnsubscribed means that the socket has no subscription.
	WebsocketUnsubscribed WebsocketState = "unsubscribed"
	// WebsocketReplaying means that missed events are being sent.
	WebsocketReplaying WebsocketState = "replaying"
	// WebsocketWaiting means that OnSubscribed is running.
	WebsocketWaiting WebsocketState = "waiting"
	// WebsocketLive means that events are sent as they are published.
	WebsocketLive WebsocketState = "live"
	// WebsocketBehind means that the socket lags by more than Options.MaxLagBytes and is sent
	// events from the log, at its own pace.
	WebsocketBehind WebsocketState = "behind"
	// WebsocketClosing means that the socket is being closed.
	WebsocketClosing WebsocketState = "closing"
)

// WebsocketStats describes a socket: see [Websocket.Stats].
type WebsocketStats struct {
	State WebsocketState
	// Since is when the socket was opened, truncated to a whole second.
	Since time.Time
	// LagEvents is the number of events of the channel, whatever their recipients, that were
	// published but not yet processed for this socket, because its client reads too slowly.
	// LagBytes is their size on the wire. While the socket is replaying, missed events are not
	// counted. If it is behind and nodes share the log, events whose message was lost may not
	// be counted.
	LagEvents int
	LagBytes  int64
	// PendingBytes is the size of the answers to calls and the events of Send that wait for
	// the client: see Options.MaxLagBytes.
	PendingBytes int
}

// Stats returns the state of the socket and its lag. Bytes that the kernel has accepted count
// as sent, and so does one batch that waits for the kernel.
func (ws *Websocket) Stats() WebsocketStats {
	p := ws.reader.Progress()
	s := WebsocketStats{
		State: states[p.Phase], Since: ws.core().start.Truncate(time.Second).Add(time.Duration(ws.opened) * time.Second),
		LagEvents: p.Events, LagBytes: p.Bytes, PendingBytes: ws.outbox.Size(),
	}
	if ws.closing.Load() {
		s.State = WebsocketClosing
	}
	return s
}

var states = map[fanout.Phase]WebsocketState{
	fanout.Unsubscribed: WebsocketUnsubscribed,
	fanout.Replaying:    WebsocketReplaying,
	fanout.Held:         WebsocketWaiting,
	fanout.Live:         WebsocketLive,
	fanout.Behind:       WebsocketBehind,
}

// stats returns the figures of all channels, and the number of events published in them and in
// evicted ones. It does not hold a lock that others need while it visits sockets.
func (c *channels) stats(publishes *uint64) []ChannelStats {
	c.core.mu.RLock()
	channels := make([]*liveChannel, 0, len(c.all))
	*publishes = c.core.counters.evicted.Load()
	for _, ch := range c.all {
		channels = append(channels, ch)
		*publishes += ch.events.Published()
	}
	c.core.mu.RUnlock()
	list := make([]ChannelStats, len(channels))
	for i, ch := range channels {
		list[i] = ch.stats()
	}
	return list
}

func (ch *liveChannel) stats() ChannelStats {
	s := ChannelStats{Name: ch.name, Publishes: ch.events.Published()}
	for _, ws := range websocketsOf(ch, nil) {
		s.Websockets++
		w := ws.Stats()
		if w.State == WebsocketBehind {
			s.Behind++
		}
		if w.State != WebsocketUnsubscribed && w.State != WebsocketClosing {
			s.Subscriptions++
		}
		s.MaxLagEvents, s.MaxLagBytes = max(s.MaxLagEvents, w.LagEvents), max(s.MaxLagBytes, w.LagBytes)
	}
	return s
}

// fill sets the fields of s that c counts.
func (c *counters) fill(s *Stats) {
	s.PublishErrors = c.unpublished.Load()
	s.ResumesComplete, s.ResumesTruncated = c.complete.Load(), c.truncated.Load()
	s.Subscribes = c.fresh.Load() + s.ResumesComplete + s.ResumesTruncated
	s.Calls = map[string]uint64{}
	for i := range c.calls {
		c.calls[i].addTo(s.Calls)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Closes = maps.Clone(c.closes)
}

func (c *callCounters) addTo(calls map[string]uint64) {
	if n := c.ok.Load(); n > 0 {
		calls[ResultOK] += n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for result, n := range c.failed {
		calls[result] += n
	}
}
