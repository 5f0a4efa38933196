package fanout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// fixture is a channel whose readers have no connections.
type fixture struct {
	t    *testing.T
	log  eventlog.Log
	pool *socket.Pool
	ch   *Channel
}

// bubble runs a test on a channel that keeps its records in memory, unless set changes
// the options, in a synctest bubble.
func bubble(t *testing.T, set func(o *Options), test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := eventlog.NewMemory(nil)
		o := &Options{Log: memory, SoleWriter: true, MaxLagBytes: 1 << 20, Pool: socket.NewPool(2, 0)}
		o.After = func(d time.Duration, fn func(context.Context)) *time.Timer {
			return time.AfterFunc(d, func() { fn(context.Background()) })
		}
		if set != nil {
			set(o)
		}
		f := &fixture{t: t, log: o.Log, pool: o.Pool, ch: New(o, "channel")}
		require.NoError(t, f.ch.Open(t.Context()))
		test(f)
		o.Pool.Close()
		require.NoError(t, memory.Close())
	})
}

// publish publishes an event, for everybody unless set changes that, and waits until
// the readers have been notified. It returns the event's id.
func (f *fixture) publish(text string, set ...func(*eventlog.Audience)) string {
	f.t.Helper()
	rec := record(text, set...)
	require.NoError(f.t, f.ch.Publish(f.t.Context(), rec))
	synctest.Wait()
	return rec.Position().String()
}

// busy blocks the writer of the clients until resume is called, which returns when the writer is
// idle again.
func (f *fixture) busy() (resume func()) {
	block := make(chan struct{})
	f.pool.NewTask(0, func(func(*socket.Conn)) { <-block }).Wake()
	synctest.Wait()
	return func() {
		close(block)
		synctest.Wait()
	}
}

// entries returns the number of entries that the channel has for its readers, which is 0
// once all of them have left.
func (f *fixture) entries() int {
	x := &f.ch.readers
	n := x.count + len(x.byTag) + len(x.byRecipient) + len(f.ch.tail.common.counts)
	for _, g := range x.groups {
		n += len(g.readers)
	}
	return n
}

// slip appends an event to the log that is not delivered to the channel.
func (f *fixture) slip(text string, set ...func(*eventlog.Audience)) {
	f.t.Helper()
	require.NoError(f.t, f.log.Append(f.t.Context(), "channel", record(text, set...), func(*eventlog.Record) {}))
}

func record(text string, set ...func(*eventlog.Audience)) *eventlog.Record {
	data, _ := json.Marshal(text)
	rec := &eventlog.Record{Data: data}
	for _, set := range set {
		set(&rec.Audience)
	}
	return rec
}

func tags(tags ...string) func(*eventlog.Audience) {
	return func(a *eventlog.Audience) { a.Tags = tags }
}

func targets(ids ...string) func(*eventlog.Audience) {
	return func(a *eventlog.Audience) { a.Targets = recipients(ids) }
}

func excludes(ids ...string) func(*eventlog.Audience) {
	return func(a *eventlog.Audience) { a.Excludes = recipients(ids) }
}

func recipients(ids []string) []eventlog.Recipient {
	list := []eventlog.Recipient{}
	for _, id := range ids {
		list = append(list, eventlog.Recipient{ID: id})
	}
	return list
}

// client is a sink whose events are read when the test calls it.
type client struct {
	t        *testing.T
	ch       *Channel
	writer   int
	reader   Reader
	sub      *Subscription
	woken    atomic.Bool // since the reader last had nothing to read
	replayed atomic.Bool
	failed   atomic.Pointer[error]
}

func (c *client) Writer() int              { return c.writer }
func (c *client) Wake()                    { c.woken.Store(true) }
func (c *client) Flush(func(*socket.Conn)) { c.woken.Store(true) }
func (c *client) Replayed(s *Subscription) { c.replayed.Store(s == c.sub) }
func (c *client) Fail(err error)           { c.failed.Store(&err) }

// join adds a client with this id and these tags.
func (f *fixture) join(id string, tags ...string) *client {
	c := &client{t: f.t, ch: f.ch}
	f.ch.Join(&c.reader, c, tags, eventlog.Recipient{ID: id})
	return c
}

// subscribe subscribes with the id 1. If nothing was missed, the client is live at once.
func (f *fixture) subscribe(id string, tags ...string) *client {
	c := f.join(id, tags...)
	c.subscribe("1", "")
	c.reader.Release(c.sub)
	return c
}

func (c *client) subscribe(id, lastEventID string) {
	c.t.Helper()
	c.sub = &Subscription{CursorEvents: true}
	_, _, err := c.reader.Prepare(c.t.Context(), c.sub, lastEventID)
	require.NoError(c.t, err)
	c.sub.ID = peer.ID(id)
	c.replayed.Store(c.reader.Subscribe(c.sub))
}

// resume subscribes after an event, reads the missed events, and then is live.
func (c *client) resume(lastEventID string, missed ...string) {
	c.t.Helper()
	c.subscribe("1", lastEventID)
	c.reads(missed...)
	require.True(c.t, c.replayed.Load())
	c.reader.Release(c.sub)
}

func never() bool { return false }

// pull reads one batch and returns its messages. Like a connection, it reads only after it was woken,
// until there is nothing to read.
func (c *client) pull(wait bool) (messages []string, more socket.More) {
	c.t.Helper()
	if !c.woken.Swap(false) {
		return nil, socket.None
	}
	var b socket.Batch
	if more = c.reader.Read(context.Background(), &b, wait, never); more != socket.None {
		c.woken.Store(true)
	}
	return unframe(c.t, append(b.Own, b.Shared...)), more
}

// read reads until there is nothing left, and returns the data of the events, or the id
// of those without data.
func (c *client) read() (texts []string) {
	c.t.Helper()
	texts = []string{}
	for {
		messages, more := c.pull(true)
		for _, m := range messages {
			e := decode(c.t, m)
			if e.P.D == "" {
				e.P.D = "cursor " + e.P.M.ID
			}
			texts = append(texts, e.P.D)
		}
		if more == socket.None {
			return texts
		}
	}
}

func (c *client) reads(want ...string) {
	c.t.Helper()
	require.Equal(c.t, append([]string{}, want...), c.read())
}

// failure returns the error that was passed to Fail.
func (c *client) failure() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *client) leave() { c.ch.Leave(&c.reader) }

// event is a decoded message.
type event struct {
	I json.RawMessage
	P struct {
		D string
		M struct{ ID string }
	}
}

func decode(t *testing.T, message string) (e event) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(message), &e), message)
	return e
}

// unframe splits unmasked text frames.
func unframe(t *testing.T, frames []byte) (messages []string) {
	t.Helper()
	for r := bufio.NewReader(bytes.NewReader(frames)); ; {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return messages
		}
		require.Equal(t, byte(0x81), head[0])
		size := uint64(head[1])
		switch size {
		case 126:
			var n [2]byte
			_, err := io.ReadFull(r, n[:])
			require.NoError(t, err)
			size = uint64(binary.BigEndian.Uint16(n[:]))
		case 127:
			var n [8]byte
			_, err := io.ReadFull(r, n[:])
			require.NoError(t, err)
			size = binary.BigEndian.Uint64(n[:])
		}
		message := make([]byte, size)
		_, err := io.ReadFull(r, message)
		require.NoError(t, err)
		messages = append(messages, string(message))
	}
}

func pad(text string, size int) string { return text + strings.Repeat(".", size) }
