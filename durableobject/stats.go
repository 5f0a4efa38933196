package durableobject

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
)

// Stats describes what a namespace does and has done in this process: see [Namespace.Stats].
// The first four fields are what there is now; the others count since NewNamespace and
// never become less.
type Stats struct {
	// Channels is how many channels are in memory.
	Channels int
	// Websockets is how many sockets are open.
	Websockets int
	// Subscriptions is how many of the sockets have a subscription.
	Subscriptions int
	// Behind is how many of the sockets are too slow for what is published, and read the
	// log: see [WebsocketBehind].
	Behind int

	// Publishes counts the events that PublishEvent has stored, PublishErrors its calls that
	// have failed. An event that was stored before under its key counts again only where
	// nodes share the log.
	Publishes, PublishErrors uint64
	// Deliveries counts the events of channels that were passed to a connection, once for
	// each of them. What Websocket.Send sends is not counted.
	Deliveries uint64
	// BytesSent counts the bytes that were passed to connections: frames with their headers.
	BytesSent uint64
	// Calls counts the calls of methods, interceptors included, by result: [ResultOK] or the
	// code of the error, of which it distinguishes at least 64 and counts the others as
	// [ResultOther]. A call that was aborted by its client has CLIENT_CLOSED_REQUEST. A stream
	// of events counts once, when it begins.
	Calls map[string]uint64
	// Subscribes counts the subscriptions. ResumesComplete are those of them that continued an
	// earlier one and missed nothing, ResumesTruncated those where events were gone.
	Subscribes, ResumesComplete, ResumesTruncated uint64
	// Closes counts the sockets that have closed by close code: the one that was sent first,
	// by the server or the client. 1005 is a close frame without a code, 1006 a connection
	// that has ended without a close frame. Codes from 3000 on that clients have chosen are
	// counted as 3000.
	Closes map[int]uint64
}

// Stats returns what the namespace does and has done in this process. Counting costs
// publishing and delivery nothing that can be measured; the call looks at every socket, which
// takes about a millisecond for 10,000. The figures are not of one instant. Other nodes have
// their own.
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
	return s
}

// ChannelStats describes a channel that is in memory: see [Namespace.Channels].
type ChannelStats struct {
	// Name is the channel of its tokens.
	Name string
	// Websockets is how many sockets are connected to it in this process, Subscriptions how
	// many of these have a subscription, and Behind how many are behind.
	Websockets, Subscriptions, Behind int
	// MaxLagEvents and MaxLagBytes are the largest of its sockets: see [WebsocketStats].
	MaxLagEvents int
	MaxLagBytes  int64
	// Publishes is how many events this process has published since the channel is in memory.
	Publishes uint64
}

// Channels returns the channels that are in memory, by name: those with a socket, and those
// that were used within Options.IdleTimeout. It neither makes an object nor keeps one
// from eviction. Other nodes have their own. The cost is as that of [Namespace.Stats].
func (ns *Namespace[H]) Channels() []ChannelStats {
	var publishes uint64
	list := ns.class.channels.stats(&publishes)
	slices.SortFunc(list, func(a, b ChannelStats) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Websockets returns the sockets of a channel as [Object.Websockets] does, for those who have
// no object: it neither makes one nor keeps one from eviction.
func (ns *Namespace[H]) Websockets(channel string, tags ...string) iter.Seq[*Websocket] {
	return ns.class.channels.websockets(channel, tags)
}

// WebsocketState is what a socket does.
type WebsocketState string

// The states of a socket.
const (
	// WebsocketUnsubscribed is the state of a socket without a subscription.
	WebsocketUnsubscribed WebsocketState = "unsubscribed"
	// WebsocketReplaying is the state of one that is sent the events that it missed.
	WebsocketReplaying WebsocketState = "replaying"
	// WebsocketWaiting is the state of one whose OnSubscribed runs.
	WebsocketWaiting WebsocketState = "waiting"
	// WebsocketLive is the state of one that is sent events as they are published.
	WebsocketLive WebsocketState = "live"
	// WebsocketBehind is the state of one that was too slow for that, by Options.MaxLagBytes: it
	// is sent what it lacks from the log, at its own pace.
	WebsocketBehind WebsocketState = "behind"
	// WebsocketClosing is the state of one that is being closed.
	WebsocketClosing WebsocketState = "closing"
)

// WebsocketStats describes a socket: see [Websocket.Stats].
type WebsocketStats struct {
	State WebsocketState
	// Since is when the socket was opened, to the second.
	Since time.Time
	// LagEvents is how many events of the channel, for whomever they are, were published and
	// not looked at yet for this socket, because its client takes them too slowly. LagBytes
	// is their size as they are sent. While the socket is replaying, missed events are not
	// counted; behind on a log that nodes share, events of a lost message may not be.
	LagEvents int
	LagBytes  int64
	// PendingBytes is what answers to calls and events of Send hold that wait for the client:
	// see Options.MaxLagBytes.
	PendingBytes int
}

// Stats returns what the socket does and how far it has fallen behind. What the kernel has
// taken for it counts as sent, and up to a batch that waits for the kernel.
func (ws *Websocket) Stats() WebsocketStats {
	p := ws.reader.Progress()
	s := WebsocketStats{
		State: states[p.Phase], Since: ws.core().start.Add(time.Duration(ws.opened) * time.Second),
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

// stats returns the figures of all channels, and how many events were published in them and
// in those that were evicted. No socket is looked at with a lock that others need.
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

// fill sets the fields of s that are counted here.
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
