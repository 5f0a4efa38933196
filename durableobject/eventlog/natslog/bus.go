package natslog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// maxListenQueue and maxListenBytes bound the messages that wait for one listener.
	maxListenQueue = 4096
	maxListenBytes = 4 << 20
)

// bus implements [eventlog.Bus]. Messages are published to subjects that no stream stores;
// values are stored in a second, small stream.
type bus struct {
	log    *Log
	ctx    context.Context // ends when the log is closed
	cancel context.CancelFunc
	kept   *keptValues

	mu        sync.Mutex
	listeners map[*busListener]struct{}
}

// Bus implements [eventlog.BusCarrier]. Messages are sent with NATS Core. Values are stored
// in the stream "<stream>_bus", with as many replicas as the stream of the log and on the
// same kind of storage: at most 64 MiB of them. They expire by the clock of the servers.
// Keep retries for at most 10 seconds. While the stream does not respond, Keep and Kept
// return ErrUnavailable.
//
// With Options.NoBus, Bus returns nil. The connection must not have the option [nats.NoEcho].
func (l *Log) Bus() eventlog.Bus {
	if l.bus == nil {
		return nil // an untyped nil
	}
	return l.bus
}

// openBus creates the stream of the bus, or checks the existing one.
func (l *Log) openBus(ctx context.Context) (*bus, error) {
	kept, err := l.openKept(ctx)
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	b := &bus{log: l, kept: kept, listeners: map[*busListener]struct{}{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// subject returns the subject of a topic.
func (b *bus) subject(topic string) string { return "dib." + b.log.options.Stream + "." + token(topic) }

// enter begins a call that Close waits for. Close ends the returned context.
func (b *bus) enter(ctx context.Context, faults ...error) (_ context.Context, leave func(), err error) {
	if err := cmp.Or(faults...); err != nil {
		return nil, nil, err
	}
	if err := b.log.enter(ctx); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(b.ctx, func() { cancel(eventlog.ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
		b.log.calls.Done()
	}, nil
}

// failed returns the error of a call, or that of its context if it has ended.
func (b *bus) failed(ctx context.Context, call string, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("natslog: %s: %w", call, err)
}

// Broadcast implements [eventlog.Bus].
func (b *bus) Broadcast(ctx context.Context, topic string, data []byte) error {
	ctx, leave, err := b.enter(ctx, eventlog.CheckBusName(topic), eventlog.CheckBusData(data))
	if err != nil {
		return fmt.Errorf("natslog: broadcast: %w", err)
	}
	defer leave()
	// Without a connection the message would be buffered and sent much later.
	if err = unavailable(nats.ErrDisconnected); b.log.nc.IsConnected() {
		err = b.log.nc.Publish(b.subject(topic), data)
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		err = eventlog.ErrTooLarge
	case err != nil:
		err = unavailable(err)
	}
	return b.failed(ctx, "broadcast", err)
}

// Listen implements [eventlog.Bus].
func (b *bus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	ctx, leave, err := b.enter(ctx, eventlog.CheckBusName(topic))
	if err != nil {
		return nil, fmt.Errorf("natslog: listen: %w", err)
	}
	defer leave()
	stop, err = b.listen(ctx, topic, fn)
	return stop, b.failed(ctx, "listen", err)
}

func (b *bus) listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	if !b.log.nc.IsConnected() {
		return nil, unavailable(nats.ErrDisconnected)
	}
	l := &busListener{fn: eventlog.GuardListener(fn, b.log.options.Logger)}
	if l.sub, err = b.log.nc.Subscribe(b.subject(topic), func(m *nats.Msg) { b.pass(l, m) }); err != nil {
		return nil, unavailable(err)
	}
	b.mu.Lock()
	b.listeners[l] = struct{}{}
	b.mu.Unlock()
	stop = func() {
		b.mu.Lock()
		delete(b.listeners, l)
		b.mu.Unlock()
		l.stop()
	}
	err = l.sub.SetPendingLimits(maxListenQueue, maxListenBytes)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		err = b.log.nc.FlushWithContext(ctx) // the server has the subscription
	}
	if err != nil {
		stop()
		return nil, unavailable(err)
	}
	return stop, nil
}

// pass calls a listener with a message, unless the message is malformed.
func (b *bus) pass(l *busListener, m *nats.Msg) {
	if err := eventlog.CheckBusData(m.Data); err != nil {
		b.broken(m.Subject, err)
		return
	}
	l.call(m.Data)
}

func (b *bus) broken(subject string, err error) {
	b.log.stats.broken.Add(1)
	b.log.options.Logger.Warn("event log: malformed message of the bus", "subject", subject, "err", err)
}

// Keep implements [eventlog.Bus].
func (b *bus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	ctx, leave, err := b.enter(ctx, eventlog.CheckBusName(key), eventlog.CheckBusData(value))
	if err != nil {
		return fmt.Errorf("natslog: keep: %w", err)
	}
	defer leave()
	return b.failed(ctx, "keep", b.kept.keep(ctx, key, value, ttl))
}

// Kept implements [eventlog.Bus]. It reads only the values that have changed since the last
// call, which the stream's leader reports; the others are in memory.
func (b *bus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("natslog: kept: %w", err)
	}
	defer leave()
	found := map[string][]byte{}
	err = b.kept.read(ctx, prefix, func(key string, value []byte) { found[key] = bytes.Clone(value) }, b.broken)
	if err != nil {
		return nil, b.failed(ctx, "kept", err)
	}
	return found, nil
}

// KeptVersion implements [eventlog.Versioned]. It asks the stream's leader, as Kept does.
func (b *bus) KeptVersion(ctx context.Context) (uint64, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return 0, fmt.Errorf("natslog: kept version: %w", err)
	}
	defer leave()
	version, err := b.kept.version(ctx, b.broken)
	if err != nil {
		return 0, b.failed(ctx, "kept version", err)
	}
	return version, nil
}

// close stops the listeners. No call is running and none will begin.
func (b *bus) close() {
	b.mu.Lock()
	listeners := b.listeners
	b.listeners = map[*busListener]struct{}{}
	b.mu.Unlock()
	for l := range listeners {
		l.stop()
	}
}

// busListener calls a function for the messages of a subscription.
type busListener struct {
	fn  func(data []byte)
	sub *nats.Subscription

	mu      sync.Mutex // held while fn runs
	stopped bool
}

func (l *busListener) call(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.fn(data)
	}
}

func (l *busListener) stop() {
	_ = l.sub.Unsubscribe() // the connection may be closed, or it was called before
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}
