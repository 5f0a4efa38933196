package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

var withKey = durableobject.WithIdempotencyKey

// publishKey publishes with a key and returns the id of the event.
func (f *fixture) publishKey(key, text string, opts ...durableobject.PublishOption) (id string) {
	f.t.Helper()
	f.publish(text, append(opts, withKey(key), durableobject.WithEventID(&id))...)
	return id
}

func TestRepeatedPublish(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		a := f.connect("a")
		a.subscribe()
		first := f.publishKey("k", "1")
		_, id := a.event()
		require.Equal(t, id, first)
		f.publish("2")
		a.sees("2")
		require.Equal(t, first, f.publishKey("k", "another", durableobject.WithTags("x")), "long ago")
		require.NotEqual(t, first, f.publishKey("other", "3"))
		a.sees("3")
		f.publishKey("", "4")
		f.publishKey("", "4")
		a.sees("4", "4")
		other := f.room("other room")
		require.NoError(t, other.PublishEvent(t.Context(), message{"x"}, withKey("k"), durableobject.WithEventID(&id)))
		require.NotEqual(t, first, id, "an object has keys of its own")
		a.seesNothing()
		b := f.connect("b")
		b.subscribe(lastEventID("0"))
		b.sees("1", "2", "3", "4", "4")
		b.seesNothing()
	})
}

func TestIdempotencyWindow(t *testing.T) {
	o := keeping
	o.ResumeRetention = time.Hour
	longer := o
	longer.IdempotencyWindow = 30 * time.Minute
	short := o
	short.ResumeRetention = time.Minute
	for name, c := range map[string]struct {
		options durableobject.Options
		window  time.Duration
	}{"default": {o, 2 * time.Minute}, "set": {longer, 30 * time.Minute}, "short retention": {short, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.options, func(t *testing.T, f *fixture) {
				first := f.publishKey("k", "1")
				time.Sleep(c.window - time.Second)
				require.Equal(t, first, f.publishKey("k", "1"))
				time.Sleep(2 * time.Second)
				require.NotEqual(t, first, f.publishKey("k", "1"))
			})
		})
	}
}

func TestEventID(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		a := f.connect("a")
		a.subscribe()
		id := "as it was"
		withID := durableobject.WithEventID(&id)
		require.Error(t, f.room("room").PublishEvent(t.Context(), message{"x"}, withID, durableobject.WithTargets(nil)))
		require.Equal(t, "as it was", id)
		f.publish("x", withID, durableobject.WithEventMeta(rpc.EventMeta{ID: "ignored"}))
		_, want := a.event()
		require.Equal(t, want, id)
		f.publish("x", durableobject.WithEventID(nil))
	})
	t.Run("with resume off", func(t *testing.T) {
		bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
			id := "as it was"
			f.publish("x", durableobject.WithEventID(&id))
			require.Empty(t, id)
			f.publish("x", durableobject.WithEventID(&id), durableobject.WithEventMeta(rpc.EventMeta{ID: "mine"}))
			require.Equal(t, "mine", id)
		})
	})
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	off := func() durableobject.Options { return durableobject.Options{} }
	with := func(log eventlog.Log) durableobject.Options {
		o := keeping
		o.Log = log
		return o
	}
	withoutKeys := func() durableobject.Options { return with(neverTrimmed{eventlog.NewMemory(nil)}) }
	roomy := func() durableobject.Options { return keeping }
	full := func() durableobject.Options { // in the bubble
		log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxKeys: 1})
		require.NoError(t, log.Append(t.Context(), "room", &eventlog.Record{Key: "first"}, func(*eventlog.Record) {}))
		return with(log)
	}
	long := strings.Repeat("k", 128)
	for name, c := range map[string]struct {
		options func() durableobject.Options
		key     string
		want    error
	}{
		"resume off":                {off, "k", durableobject.ErrNoKeys},
		"resume off, empty":         {off, "", durableobject.ErrNoKeys},
		"a log without keys":        {withoutKeys, "k", durableobject.ErrNoKeys},
		"as long as may be":         {roomy, long, nil},
		"too long":                  {roomy, long + "k", eventlog.ErrKey},
		"one more than fits":        {full, "k", eventlog.ErrTooManyKeys},
		"no more fits, but no key":  {full, "", nil},
		"no more fits, but a known": {full, "first", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, c.options(), nil)
				defer f.end()
				a := f.connect("a")
				a.subscribe()
				err := f.room("room").PublishEvent(t.Context(), message{"x"}, withKey(c.key))
				require.ErrorIs(t, err, c.want)
				if err != nil {
					a.seesNothing()
				}
			})
		})
	}
}

// losingAcks is a log that stores records but sometimes returns an error nevertheless.
type losingAcks struct {
	*eventlog.Memory
	appends atomic.Int64
}

func (l *losingAcks) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	err := l.Memory.Append(ctx, channel, r, deliver)
	if l.appends.Add(1)%3 != 0 && err == nil {
		err = fmt.Errorf("lost on the way: %w", eventlog.ErrUncertain)
	}
	return err
}

func TestPublishAgainAfterAFailedAcknowledgement(t *testing.T) {
	o := keeping
	o.Log = &losingAcks{Memory: eventlog.NewMemory(nil)}
	bubble(t, o, func(t *testing.T, f *fixture) {
		a := f.connect("a")
		a.subscribe()
		for i := range 50 {
			text := fmt.Sprint(i)
			id, tries := "", 0
			for {
				tries++
				err := f.room("room").PublishEvent(t.Context(), message{text}, withKey(text), durableobject.WithEventID(&id))
				if err == nil {
					break
				}
				require.ErrorIs(t, err, eventlog.ErrUncertain)
			}
			require.Equal(t, 3, tries)
			seen, want := a.event()
			require.Equal(t, text, seen)
			require.Equal(t, want, id)
		}
		a.seesNothing()
	})
}

// One event is stored for a key that three nodes publish 1,000 times at once.
func TestKeyFromThreeNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlogtest.NewSharedMemory(nil)
		var nodes []*nodeFixture
		var clients []*rawClient
		for i := range 3 {
			n := newNode(t, log)
			c := n.connect(fmt.Sprint(i))
			c.subscribe()
			nodes, clients = append(nodes, n), append(clients, c)
		}
		ids := make([]string, 1000)
		var publishers sync.WaitGroup
		for i := range ids {
			publishers.Go(func() {
				err := nodes[i%3].room("room").PublishEvent(t.Context(), message{"x"}, withKey("k"), durableobject.WithEventID(&ids[i]))
				if err != nil {
					t.Error(err)
				}
			})
		}
		publishers.Wait()
		for _, c := range clients {
			_, id := c.event()
			require.Equal(t, ids[0], id)
			c.seesNothing()
		}
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
		for _, n := range nodes {
			n.end()
			require.NoError(t, n.handle.Close())
		}
	})
}

// note is a method that publishes its input once for each call and returns the id.
var (
	note  = rpc.Define[message, string]("note")
	note2 = rpc.Define[message, string]("note2")
)

func (r *room) note(ctx context.Context, _ *durableobject.Websocket, in message) (id string, err error) {
	err = r.PublishEvent(ctx, in, withKey(durableobject.CallKey(ctx)), durableobject.WithEventID(&id))
	return id, err
}

// notes runs a test with a client that receives all events. note calls the method as a client with
// this id and attachment, and sends a key.
func notes(t *testing.T, o durableobject.Options, test func(t *testing.T, note func(id, att, method, key string) (eventID string))) {
	bubble(t, o, func(t *testing.T, f *fixture) {
		durableobject.Handle(f.rooms, note, (*room).note)
		durableobject.Handle(f.rooms, note2, (*room).note)
		test(t, func(id, att, method, key string) string {
			header := ""
			if key != "" {
				header = `,"h":{"idempotency-key":"` + key + `"}`
			}
			c := f.connect(id, withAtt(att), func(p *token.Payload) { p.RPC = []string{"note", "note2"} })
			defer c.drop()
			c.send(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["` + method + `"],"input":{"text":"x"}}}` + header + `}}`)
			answer := c.next()
			require.NotContains(t, answer, `"s":`, answer)
			return answer
		})
	})
}

func TestCallKey(t *testing.T) {
	notes(t, keeping, func(t *testing.T, note func(id, att, method, key string) string) {
		first := note("a", `"ann"`, "note", "k")
		require.Equal(t, first, note("a", `"ann"`, "note", "k"), "over another socket")
		require.NotEqual(t, first, note("b", `"ann"`, "note", "k"), "another client")
		require.NotEqual(t, first, note("a", `"ann"`, "note2", "k"), "another method")
		require.NotEqual(t, first, note("a", `"ann"`, "note", "k2"))
		without := note("a", `"ann"`, "note", "")
		require.NotEqual(t, without, note("a", `"ann"`, "note", ""), "no key is none")
	})
}

func TestCallKeyOfASubject(t *testing.T) {
	o := keeping
	o.Subject = func(p *token.Payload) string { s, _ := token.Att[string](p); return s }
	notes(t, o, func(t *testing.T, note func(id, att, method, key string) string) {
		first := note("a", `"ann"`, "note", "k")
		require.Equal(t, first, note("b", `"ann"`, "note", "k"), "the same user, under another id")
		require.NotEqual(t, first, note("a", `"bob"`, "note", "k"), "another user, under the same id")
		nobody := note("a", `""`, "note", "k")
		require.NotEqual(t, first, nobody)
		require.NotEqual(t, nobody, note("b", `""`, "note", "k"), "without subject the id counts")
	})
}

func TestCallKeyElsewhere(t *testing.T) {
	t.Parallel()
	require.Empty(t, durableobject.CallKey(t.Context()))
	router := rpc.NewRouter(note.Handler(func(ctx context.Context, _ message) (string, error) {
		call, _ := rpc.CallOf(ctx)
		return durableobject.CallKey(ctx) + durableobject.JoinKey("ann", call.IdempotencyKey()), nil
	}))
	key, err := note.Call(t.Context(), router, message{}, rpc.WithIdempotencyKey("k"))
	require.NoError(t, err)
	require.Equal(t, durableobject.JoinKey("ann", "k"), key, "there is no socket")
}

func TestJoinKey(t *testing.T) {
	t.Parallel()
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{"a"}, {"b"}, {"ab"}, {"a", "b"}, {"b", "a"}, {"a", "a"}, {"a", "a", "a"}, {"a\x01b"}, {strings.Repeat("a", 1000)},
	} {
		key := durableobject.JoinKey(parts...)
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(key), eventlog.MaxKeyBytes)
		require.Equal(t, key, durableobject.JoinKey(parts...))
		require.NotContains(t, seen, key, "%q", parts)
		seen[key] = parts
	}
	require.Empty(t, durableobject.JoinKey())
	require.Empty(t, durableobject.JoinKey("", "b"))
	require.Empty(t, durableobject.JoinKey("a", ""))
}

// If a method publishes an event and then a repetition of an earlier one, its answer is sent after
// both.
func TestAnswerAfterARepetition(t *testing.T) {
	bubble(t, keeping, func(_ *testing.T, f *fixture) {
		durableobject.Handle(f.rooms, note, func(r *room, ctx context.Context, _ *durableobject.Websocket, in message) (string, error) {
			if err := r.PublishEvent(ctx, in); err != nil {
				return "", err
			}
			return "done", r.PublishEvent(ctx, in, withKey("k"))
		})
		f.publishKey("k", "early")
		c := f.connect("a", func(p *token.Payload) { p.RPC = []string{"note"} })
		c.subscribe()
		for range 20 {
			c.send(`{"i":"2","p":{"u":"/call","b":{"json":{"path":["note"],"input":{"text":"x"}}}}}`)
			c.sees("x")
			require.Contains(c.t, c.next(), "done")
		}
	})
}

// A channel with many keys leaves capacity for the keys of others.
func TestKeysOfOneChannelLeavePlaces(t *testing.T) {
	t.Parallel()
	disk, err := filelog.Open(t.TempDir(), &filelog.Options{MaxKeys: 80, Sync: filelog.SyncNever})
	require.NoError(t, err)
	defer func() { require.NoError(t, disk.Close()) }()
	for name, log := range map[string]eventlog.Log{"memory": eventlog.NewMemory(&eventlog.MemoryOptions{MaxKeys: 80}), "filelog": disk} {
		f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: log}, nil)
		publish := func(channel, key string) error {
			return f.room(channel).PublishEvent(t.Context(), message{"x"}, durableobject.WithIdempotencyKey(key))
		}
		for i := range 70 {
			require.NoError(t, publish("loud", fmt.Sprint(i)), name)
		}
		require.ErrorIs(t, publish("loud", "another"), eventlog.ErrTooManyKeys, name)
		require.NoError(t, publish("loud", "0"), name)
		require.NoError(t, publish("quiet", "first"), name)
		f.end()
	}
}
