package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// headerBytes is the maximum size of the headers of a message.
	headerBytes = 1024
	// ackWait is how long to wait for an ack before the message is sent again, under
	// the same id; retryPause is the pause after an ack that reports a failure.
	ackWait    = 2 * time.Second
	retryPause = 50 * time.Millisecond
	// leap is how far a Seq may be ahead of the newest one known to this handle before the
	// stream is checked: a new stream begins with a Seq that is the time in microseconds.
	leap = 1000
)

// ack is the server's response to a message.
type ack struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}

// Append implements [eventlog.Shared]. It retries for at most 30 seconds, and then returns
// ErrUncertain. It may also return ErrTooLarge, ErrKey, ErrUnavailable and ErrClosed.
func (l *Log) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	if err := l.append(ctx, channel, r, deliver); err != nil {
		return fmt.Errorf("natslog: append: %w", err)
	}
	return nil
}

func (l *Log) append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.calls.Done()
	if err := eventlog.CheckKey(r.Key); err != nil {
		return err
	}
	body := encode(r)
	if int64(len(body)+headerBytes) > l.nc.MaxPayload() {
		return eventlog.ErrTooLarge
	}
	l.stats.appends.Add(1)
	if deliver != nil {
		return l.appendDelivered(ctx, channel, r, body, deliver)
	}
	seq, epoch, _, err := l.publish(ctx, l.message(channel, r.Key, body))
	if err != nil {
		return err
	}
	r.Seq, r.Epoch = seq, epoch
	if f := l.feedOf(channel); f != nil {
		f.noteAck(seq)
	}
	return nil
}

// Retention implements [eventlog.Expiring].
func (l *Log) Retention() time.Duration { return max(l.options.Retention, 0) }

// KeyWindow implements [eventlog.Keyed]: it is the duplicate window of the stream.
func (l *Log) KeyWindow() time.Duration { return l.options.duplicates() }

// message returns the message of a record. The server stores only one message for each
// message id. Without a key the id is unique, so that the message can be sent repeatedly;
// with a key it is derived from the key, and a unique id is added as a header.
func (l *Log) message(channel, key string, body []byte) *nats.Msg {
	l.mu.Lock()
	l.nextID++
	id := l.node + strconv.FormatUint(l.nextID, 36)
	l.mu.Unlock()
	m := &nats.Msg{
		Subject: l.stored(token(channel)), Data: body,
		Header: nats.Header{nats.MsgIdHdr: {id}, nats.ExpectedStreamHdr: {l.options.Stream}},
	}
	if key != "" {
		m.Header[nats.MsgIdHdr] = []string{keyID(channel, key)}
		m.Header[ownIDHeader] = []string{id}
	}
	return m
}

// publish stores a message and returns its Seq. repeated is set if the Seq is that of an
// earlier message with the same key, which may be this one, sent twice.
func (l *Log) publish(ctx context.Context, m *nats.Msg) (seq uint64, epoch string, repeated bool, err error) {
	acks := make(chan ack, 4)
	l.mu.Lock()
	l.nextID++
	key := l.nextID
	l.pending[key] = acks
	newest := l.anchor.seq
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, key)
		l.mu.Unlock()
	}()
	m.Reply = l.inbox + strconv.FormatUint(key, 36)
	a, err := l.send(ctx, m, acks)
	if err != nil {
		return 0, "", false, err
	}
	if !a.Duplicate && (a.Seq <= newest || newest > 0 && a.Seq > newest+leap) {
		// The stream may have been replaced.
		if err := l.check(ctx); err != nil {
			l.suspect()
		}
	}
	epoch = l.epoch()
	if repeated = a.Duplicate && len(m.Header[ownIDHeader]) > 0; !repeated { // else the Seq may be that of another append
		l.saw(epoch, a.Seq, idOf(m.Header))
	}
	return a.Seq, epoch, repeated, nil
}

// send sends a message until it is acknowledged.
func (l *Log) send(ctx context.Context, m *nats.Msg, acks <-chan ack) (ack, error) {
	deadline := time.NewTimer(l.options.giveUp)
	defer deadline.Stop()
	before := l.nc.LastError()
	tries := 0 // attempts that may have stored it
	failed := func(err error) error {
		if tries > 0 {
			return uncertain(err)
		}
		return unavailable(err)
	}
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if tries > 0 {
				switch err := l.refusal(before, m.Subject); {
				case err != nil && tries == 1:
					return ack{}, unavailable(err) // the only attempt was refused
				case err != nil:
					return ack{}, failed(err)
				}
				l.stats.retries.Add(1)
			}
			err := l.nc.PublishMsg(m)
			if errors.Is(err, nats.ErrConnectionClosed) {
				return ack{}, failed(err)
			}
			if err == nil {
				tries++
				again.Reset(ackWait)
			} else {
				again.Reset(retryPause)
			}
		case a := <-acks:
			switch {
			case a.Error == nil && a.Seq > 0:
				return a, nil
			case a.Error == nil || a.Error.Code == 503 || a.Error.ErrCode == errInProcess:
				again.Reset(retryPause)
			case a.Error.ErrCode == errMessageTooBig:
				return ack{}, eventlog.ErrTooLarge
			case tries == 1:
				return ack{}, a.Error
			default:
				return ack{}, failed(a.Error)
			}
		case <-ctx.Done():
			return ack{}, ctx.Err()
		case <-deadline.C:
			return ack{}, failed(errors.New("no acknowledgement"))
		}
	}
}

// acked passes an ack to the append that waits for it.
func (l *Log) acked(m *nats.Msg) {
	key, err := strconv.ParseUint(m.Subject[len(l.inbox):], 36, 64)
	if err != nil {
		return
	}
	l.mu.Lock()
	acks := l.pending[key]
	l.mu.Unlock()
	if acks == nil {
		return
	}
	var a ack // without a Seq the message was not stored
	if m.Header.Get("Status") == "" {
		if err := json.Unmarshal(m.Data, &a); err != nil || a.Error == nil && a.Stream != l.options.Stream {
			return
		}
	}
	select {
	case acks <- a:
	default: // it has enough of them
	}
}

// appendDelivered stores a record and has the feed of the channel deliver it.
func (l *Log) appendDelivered(
	ctx context.Context, channel string, r *eventlog.Record, body []byte, deliver func(*eventlog.Record),
) error {
	f, err := l.acquire(ctx, channel)
	if err != nil {
		return err
	}
	return l.appendTo(ctx, f, l.message(channel, r.Key, body), r, deliver)
}

// appendTo stores a record, has a feed deliver it, and releases the feed.
func (l *Log) appendTo(
	ctx context.Context, f *feed, m *nats.Msg, r *eventlog.Record, deliver func(*eventlog.Record),
) error {
	id := idOf(m.Header)
	w, err := f.await(id, r, deliver)
	if err != nil {
		l.release(f)
		return err
	}
	err = l.awaitDelivery(ctx, f, w, m)
	if err == nil || ctx.Err() == nil {
		f.forget(id)
		l.release(f)
		if err != nil {
			select {
			case err = <-w.done: // it has just been delivered
			default:
			}
		}
		return err
	}
	l.running.Go(func() { // it may have been stored, and is then delivered
		late := time.NewTimer(l.options.giveUp)
		defer late.Stop()
		select {
		case err := <-w.done:
			if err != nil {
				l.options.Logger.WarnContext(l.ctx, "event log: a record that may be stored was not delivered", "err", err)
			}
		case <-late.C:
		case <-l.ctx.Done():
		}
		f.forget(id)
		l.release(f)
	})
	return err
}

// awaitDelivery publishes a record and waits until the feed has delivered it, unless it
// repeats another one.
func (l *Log) awaitDelivery(ctx context.Context, f *feed, w *waiter, m *nats.Msg) error {
	seq, epoch, repeated, err := l.publish(ctx, m)
	if err == nil && repeated {
		var first message
		first, _, err = l.leaderMessage(ctx, seq, "")
		switch {
		case err != nil && ctx.Err() == nil:
			return uncertain(err)
		case err == nil && first.id != idOf(m.Header):
			w.record.Seq, w.record.Epoch = seq, epoch
			return nil
		}
	}
	if err != nil {
		return err
	}
	f.noteAck(seq)
	timer := time.NewTimer(repairWait)
	defer timer.Stop()
	for {
		select {
		case err := <-w.done:
			return err
		case <-timer.C:
			f.catchUp(seq)
			timer.Reset(time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
