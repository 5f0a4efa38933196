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
//
// Locks are taken in this order: that of a feed, that of the cache, that of the log.
// While a feed's is held its follower is called.
type Log struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	options Options
	api     string // prefix of the subjects of JetStream's API
	node    string // makes message ids unique

	inbox   string // prefix of the subjects that acks come to
	acks    *nats.Subscription
	live    chan *nats.Msg // what comes in on all feeds
	status  chan nats.Status
	wake    chan struct{} // holds a token if the stream is to be checked at once
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // dispatch and watch
	calls   sync.WaitGroup // those that Close waits for; grows only under mu while the log is open
	cache   cache
	states  stateReader
	reads   chan struct{} // holds a token for each read under way
	skew    atomic.Int64  // how far the stream's clock is ahead of ours, in nanoseconds
	stats   counters
	bus     *bus        // nil with Options.NoBus
	deaf    atomic.Bool // leaves out what is republished; set by tests

	mu       sync.Mutex
	closed   bool
	stream   streamState
	anchor   anchor
	heard    time.Time // when the stream was last known to be well
	verified bool      // it was since the connection was made
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

// anchor is the newest message that is known to have been stored. It must stay until it expires.
type anchor struct {
	seq uint64
	id  string
}

// liveBuffer is how many republished messages wait at most for the followers. Those that
// do not fit are left out, and read from the stream later.
const liveBuffer = 8192

// Open opens the log in the stream that o names, and creates the stream if need be. It
// returns ErrConfig for a stream with other settings. The connection belongs to the
// caller, who closes it after the log; it should reconnect without limit.
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

// openStream creates the stream, or checks the one that is there.
func (l *Log) openStream(ctx context.Context) error {
	config := l.options.config(l.stored(">"), l.republished(">"))
	config.Metadata = map[string]string{epochKey: eventlog.NewEpoch()}
	stream, err := l.js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = l.js.Stream(ctx, l.options.Stream)
	}
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

// stored returns the subject that records of the channel with this token are stored under.
func (l *Log) stored(token string) string { return "di." + l.options.Stream + "." + token }

// republished returns the subject that they are republished under.
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

// usable returns why a call may not go on.
func (l *Log) usable(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(ctx)
}

// open returns why a call may not begin or go on, nil if it may. It is called with mu
// held.
func (l *Log) open(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.closed:
		return eventlog.ErrClosed
	}
	return nil
}

// feedOf returns the feed of a channel, nil if it has none.
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
		// Appends are under way that are delivered here: what the head covers must have been.
		err = l.awaitTail(ctx, f)
	}
	if err != nil {
		return eventlog.Position{}, err
	}
	return eventlog.Position{Epoch: s.epoch, Seq: s.last}, nil
}

// awaitTail waits until a feed has taken what the stream has of its channel.
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

// headPause is how often a head looks whether what it covers was delivered.
const headPause = 5 * time.Millisecond

// Trim implements [eventlog.Shared]: it drops nothing. The stream has a retention of its own.
func (l *Log) Trim(ctx context.Context, _ time.Time) error {
	if err := l.usable(ctx); err != nil {
		return fmt.Errorf("natslog: trim: %w", err)
	}
	return nil
}

// Close implements [eventlog.Shared]. It leaves the stream and the connection as they are.
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

// counters count since Open.
type counters struct {
	appends, retries, gaps, repairs, found, broken, resets, stale atomic.Int64
}

// Stats are figures of a log at one moment.
type Stats struct {
	// Followed is how many channels have a feed, CacheBytes what their records take.
	Followed   int
	CacheBytes int64
	// Epoch is the current epoch of the stream.
	Epoch string
	// Heard is when the stream was last known to be reachable and well.
	Heard time.Time

	// The others count since Open: appends; publications that were repeated; gaps seen in
	// feeds; times that a feed read what it missed; records that only a tail check found;
	// messages that are no records, which were skipped; times that the epoch changed; and
	// reads that were repeated since a replica was behind.
	Appends, Retries, Gaps, Repairs, TailFinds, Broken, Resets, Stale int64
}

// Stats returns figures of the log.
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
