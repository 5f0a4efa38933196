package natslog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// Log is an [eventlog.Shared] in a JetStream stream. It is safe for concurrent use.
type Log struct {
	// Locks are taken in this order: that of a feed, that of the cache, mu. Followers are
	// called with the lock of their feed held.

	nc      *nats.Conn
	js      jetstream.JetStream
	options Options
	api     string // prefix of the subjects of JetStream's API
	node    string // makes message ids unique

	inbox   string // prefix of the subjects for acks
	acks    *nats.Subscription
	live    chan *nats.Msg // republished messages of all feeds
	status  chan nats.Status
	wake    chan struct{} // full if the stream must be checked at once
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // dispatch and watch
	calls   sync.WaitGroup // calls that Close waits for; grows only under mu while the log is open
	cache   cache
	states  stateReader
	reads   chan struct{} // has an element for each running read
	skew    atomic.Int64  // how far the stream's clock is ahead of this machine's, in nanoseconds
	stats   counters
	bus     *bus        // nil with Options.NoBus
	deaf    atomic.Bool // ignore republished messages; set by tests

	mu       sync.Mutex
	closed   bool
	stream   streamState
	anchor   anchor
	heard    time.Time // when the stream was last known to be intact
	verified bool      // it was checked since the connection was made
	renewing bool      // it has lost records, and has no new epoch yet
	pending  map[uint64]chan ack
	feeds    map[string]*feed // by the subject of republished messages
	nextID   uint64
}

var (
	_ eventlog.Shared = (*Log)(nil)
	_ eventlog.Keyed  = (*Log)(nil)

	_ eventlog.BusCarrier = (*Log)(nil)
)

// anchor is the newest message that is known to have been stored. If it disappears before it
// expires, the stream has lost records.
type anchor struct {
	seq uint64
	id  string
}

// liveBuffer is the maximum number of republished messages that wait for the followers.
// Further ones are dropped, and read from the stream later.
const liveBuffer = 8192

// Open opens the log in the stream o.Stream, and creates the stream if it does not exist. If
// an existing stream has other settings, the error wraps [ErrConfig]. The connection belongs
// to the caller, which must close it after the log; it should reconnect without limit.
func Open(ctx context.Context, nc *nats.Conn, o *Options) (*Log, error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("natslog: open: %w", err)
	}
	options.Logger, _ = asynclog.New(options.Logger) // whose handler must not run under the lock of a feed
	l := &Log{
		nc: nc, options: options, node: nuid.Next(), api: "$JS.API.",
		inbox: nc.NewInbox() + ".", live: make(chan *nats.Msg, liveBuffer), wake: make(chan struct{}, 1),
		cache: cache{limit: options.CacheBytes}, reads: make(chan struct{}, maxReads),
		pending: map[uint64]chan ack{}, feeds: map[string]*feed{},
	}
	if options.Domain != "" {
		l.api = "$JS." + options.Domain + ".API."
		l.js, err = jetstream.NewWithDomain(nc, options.Domain)
	} else {
		l.js, err = jetstream.New(nc)
	}
	if err == nil {
		err = l.openStream(ctx)
	}
	if err == nil && !options.NoBus {
		l.bus, err = l.openBus(ctx)
	}
	if err == nil {
		l.acks, err = nc.Subscribe(l.inbox+"*", l.acked)
	}
	if err != nil {
		return nil, fmt.Errorf("natslog: open: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.states.ctx, l.states.read = l.ctx, l.readState
	l.status = nc.StatusChanged(nats.CONNECTED)
	l.running.Go(l.dispatch)
	l.running.Go(l.watch)
	return l, nil
}

// openStream creates the stream, or checks the existing one.
func (l *Log) openStream(ctx context.Context) error {
	config := l.options.config(l.stored(">"), l.republished(">"))
	config.Metadata = map[string]string{epochKey: eventlog.NewEpoch()}
	stream, err := l.findOrCreate(ctx, config)
	if err != nil {
		return err
	}
	if err := l.options.check(stream.CachedInfo().Config, l.stored(">"), l.republished(">")); err != nil {
		return err
	}
	state, err := l.readState(ctx)
	if err != nil {
		return err
	}
	l.stream, l.heard, l.verified = state, time.Now(), true
	return nil
}

// stored returns the subject of the stored records of the channel with this token.
func (l *Log) stored(token string) string { return "di." + l.options.Stream + "." + token }

// republished returns the subject under which these records are republished.
func (l *Log) republished(token string) string { return "dil." + l.options.Stream + "." + token }

// enter begins a call that Close waits for.
func (l *Log) enter(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open(ctx)
	if err == nil {
		l.calls.Add(1)
	}
	return err
}

// usable returns an error if the log is closed or ctx has ended.
func (l *Log) usable(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(ctx)
}

// open returns an error if the log is closed or ctx has ended. It is called with mu held.
func (l *Log) open(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.closed:
		return eventlog.ErrClosed
	}
	return nil
}

// feedOf returns the feed of a channel, or nil if it has none.
func (l *Log) feedOf(channel string) *feed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.feeds[l.republished(token(channel))]
}

// Head implements [eventlog.Shared].
func (l *Log) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	p, err := l.head(ctx, channel)
	if err != nil {
		return eventlog.Position{}, fmt.Errorf("natslog: head: %w", err)
	}
	return p, nil
}

func (l *Log) head(ctx context.Context, channel string) (eventlog.Position, error) {
	if err := l.ready(ctx); err != nil {
		return eventlog.Position{}, err
	}
	f := l.feedOf(channel)
	if f != nil {
		if p, followed := f.head(); followed {
			return p, nil
		}
	}
	s, err := l.state(ctx)
	if err == nil && f != nil {
		// The feed is of appends with a deliver: all records up to the head must have been delivered.
		err = l.awaitTail(ctx, f)
	}
	if err != nil {
		return eventlog.Position{}, err
	}
	return eventlog.Position{Epoch: s.epoch, Seq: s.last}, nil
}

// awaitTail waits until a feed has taken all messages of its channel that the stream has.
func (l *Log) awaitTail(ctx context.Context, f *feed) error {
	select {
	case <-f.opened:
	case <-ctx.Done():
		return ctx.Err()
	}
	m, ok, err := l.leaderMessage(ctx, 0, f.stored)
	if err != nil || !ok {
		return err
	}
	tick := time.NewTicker(headPause)
	defer tick.Stop()
	for tries := 0; f.behind(m.seq); tries++ {
		if tries%int(repairWait/headPause) == 1 {
			f.catchUp(m.seq)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// headPause is how often Head checks whether the records before the head were delivered.
const headPause = 5 * time.Millisecond

// Trim implements [eventlog.Shared]. It does nothing: the stream has its own retention.
func (l *Log) Trim(ctx context.Context, _ time.Time) error {
	if err := l.usable(ctx); err != nil {
		return fmt.Errorf("natslog: trim: %w", err)
	}
	return nil
}

// Close implements [eventlog.Shared]. It does not close the connection.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		l.nc.RemoveStatusListener(l.status)
	}
	if l.bus != nil {
		l.bus.cancel()
	}
	l.calls.Wait()
	l.cancel()
	l.running.Wait()
	l.states.close()
	for _, f := range l.takeFeeds() {
		f.close()
	}
	if l.bus != nil {
		l.bus.close()
	}
	if first {
		if err := l.acks.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("natslog: close: %w", err)
		}
	}
	return nil
}

// takeFeeds removes and returns all feeds.
func (l *Log) takeFeeds() map[string]*feed {
	l.mu.Lock()
	defer l.mu.Unlock()
	feeds := l.feeds
	l.feeds = map[string]*feed{}
	return feeds
}

// counters count events since Open.
type counters struct {
	appends, retries, gaps, repairs, found, broken, resets, stale atomic.Int64
}

// Stats describes the state of a log.
type Stats struct {
	// Followed is the number of channels with a feed, and CacheBytes the memory of their
	// cached records.
	Followed   int
	CacheBytes int64
	// Epoch is the current epoch of the stream.
	Epoch string
	// Heard is when the stream was last known to be reachable and intact.
	Heard time.Time

	// The others count since Open: appends; messages that were sent again; gaps found in
	// feeds; how often a feed read missed messages; records that only a tail check found;
	// malformed messages, which were skipped; changes of the epoch; and reads that were
	// repeated because a replica lagged behind.
	Appends, Retries, Gaps, Repairs, TailFinds, Broken, Resets, Stale int64
}

// Stats returns the state of the log.
func (l *Log) Stats() Stats {
	c := &l.stats
	s := Stats{
		CacheBytes: l.cache.size(),
		Appends:    c.appends.Load(), Retries: c.retries.Load(), Gaps: c.gaps.Load(), Repairs: c.repairs.Load(),
		TailFinds: c.found.Load(), Broken: c.broken.Load(), Resets: c.resets.Load(), Stale: c.stale.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Followed, s.Epoch, s.Heard = len(l.feeds), l.stream.epoch, l.heard
	return s
}
