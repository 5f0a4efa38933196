package fanout

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

// beats returns the messages that a heartbeat sends to the client.
func (c *client) beats(stop func() bool) []string {
	c.t.Helper()
	var b socket.Batch
	c.ch.Heartbeat(&c.reader, &b, stop)
	return unframe(c.t, append(b.Own, b.Shared...))
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	const bare = `{"i":1,"t":3,"p":{"e":"message"}}`
	at := func(id string) string { return `{"i":1,"t":3,"p":{"e":"message","m":{"id":"` + id + `"}}}` }
	bubble(t, nil, func(f *fixture) {
		c := f.join("a")
		require.Empty(t, c.beats(never), "there is no subscription")
		c.subscribe("1", "")
		require.Equal(t, []string{bare}, c.beats(never), "the hook is running")
		c.reader.Release(c.sub)

		id := f.publish("for another", targets("b"))
		require.Equal(t, []string{at(id)}, c.beats(never))
		require.Empty(t, c.beats(func() bool { return true }), "there is something else to send")
		require.NoError(t, f.ch.MoveCursors(t.Context()))
		c.reads() // no second cursor event

		f.publish("for all")
		require.Empty(t, c.beats(never), "there is something to read")
		c.reads("for all")
		rec := record("not scanned yet")
		require.NoError(t, f.ch.Publish(t.Context(), rec))
		require.Equal(t, []string{bare}, c.beats(never), "the cursor must not skip an event")
		synctest.Wait()
		c.reads("not scanned yet")

		c.reader.Unsubscribe(c.sub)
		require.Empty(t, c.beats(never))
		c.leave()
		require.Empty(t, c.beats(never))
	})
}

// A heartbeat does not move a client back that has received more from another process.
func TestHeartbeatAheadOfTheTail(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *Options) { o.SoleWriter = false }, func(f *fixture) {
		f.slip("elsewhere")
		head, err := f.log.Head(t.Context(), "channel")
		require.NoError(t, err)
		c := f.join("a")
		c.resume(head.String())
		require.Equal(t, []string{`{"i":1,"t":3,"p":{"e":"message"}}`}, c.beats(never))
		c.leave()
	})
}

func TestHeartbeatWithoutLog(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *Options) { o.Log = nil }, func(f *fixture) {
		c := f.subscribe("a")
		f.publish("1")
		c.reads("1")
		require.Equal(t, []string{`{"i":1,"t":3,"p":{"e":"message"}}`}, c.beats(never))
		c.leave()
	})
}
