package durableobject_test

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func newPlain(_ context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
	return o, nil
}

// The panic has a sentence for each fault of the options.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	for name, test := range map[string]struct {
		options *durableobject.Options
		want    string
	}{
		"none":                      {nil, "no Verifier"},
		"no verifier":               {&durableobject.Options{}, "no Verifier"},
		"a log that stores nothing": {&durableobject.Options{Verifier: secret, Log: log}, "a Log without ResumeRetention would store nothing"},
		"no log to trim":            {&durableobject.Options{Verifier: secret, ResumeRetention: 1, TrimLog: true}, "TrimLog is set without a Log"},
		"negative retention":        {&durableobject.Options{Verifier: secret, ResumeRetention: -1}, "ResumeRetention is negative"},
		"negative sizes":            {&durableobject.Options{Verifier: secret, MaxLagBytes: -1, MaxMessageBytes: -1, MaxTokenBytes: -1}, "MaxTokenBytes is negative; MaxLagBytes is negative; MaxMessageBytes is negative"},
		"negative latest":           {&durableobject.Options{Verifier: secret, ResumeRetention: 1, Latest: -1, LatestScan: -1}, "Latest is negative; LatestScan is negative"},
		"latest of nothing":         {&durableobject.Options{Verifier: secret, Latest: 1}, "Latest without ResumeRetention: nothing is kept"},
		"latest of fewer":           {&durableobject.Options{Verifier: secret, ResumeRetention: 1, Latest: 2, LatestScan: 1}, "LatestScan is less than Latest"},
		"negative calls":            {&durableobject.Options{Verifier: secret, MaxCalls: -1, MaxPendingBytes: -1, MaxStreams: -1}, "MaxCalls is negative; MaxPendingBytes is negative; MaxStreams is negative"},
		"negative times":            {&durableobject.Options{Verifier: secret, HookTimeout: -1, IdleTimeout: -1}, "HookTimeout is negative; IdleTimeout is negative"},
		"negative deadlines":        {&durableobject.Options{Verifier: secret, MessageTimeout: -1, StallTimeout: -1}, "MessageTimeout is negative; StallTimeout is negative"},
		"long window":               {&durableobject.Options{Verifier: secret, ResumeRetention: 1, IdempotencyWindow: 2}, "IdempotencyWindow is longer than ResumeRetention"},
		"negative window":           {&durableobject.Options{Verifier: secret, IdempotencyWindow: -1}, "IdempotencyWindow is negative"},
		"the window of a log":       {&durableobject.Options{Verifier: secret, ResumeRetention: 2, IdempotencyWindow: 1, Log: log}, "IdempotencyWindow is set with a Log, which has its own"},
		"a plugin that adds nil":    {&durableobject.Options{Verifier: secret, Plugins: []rpc.HandlerPlugin{addingNil{}}}, "an interceptor of a plugin is nil"},
		"nil interceptor":           {&durableobject.Options{Verifier: secret, Interceptors: []rpc.Interceptor{nil}}, "an interceptor is nil"},
		"nil plugin":                {&durableobject.Options{Verifier: secret, Plugins: []rpc.HandlerPlugin{nil}}, "a plugin is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.PanicsWithValue(t, "durableobject: NewNamespace: "+test.want, func() { durableobject.NewNamespace(newPlain, test.options) })
		})
	}
	require.PanicsWithValue(t, "durableobject: NewNamespace: newHub is nil", func() {
		durableobject.NewNamespace[message, *durableobject.Object[message]](nil, &durableobject.Options{Verifier: secret})
	})
}

type addingNil struct{}

func (addingNil) InitHandler(o *rpc.HandlerOptions) { o.Interceptors = append(o.Interceptors, nil) }

// Without a limit for messages, MaxPendingBytes is not small.
func TestMessagesWithoutLimit(t *testing.T) {
	bubble(t, durableobject.Options{MaxMessageBytes: math.MaxInt64}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		for _, id := range []string{"1", "2"} { // two calls that run, in more than the least MaxPendingBytes
			c.send(`{"i":` + id + `,"p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]},"pad":"` + strings.Repeat("x", 100<<10) + `"}}}`)
		}
		c.send(`{"i":3,"p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"hi"}}}}}`)
		require.Contains(t, c.next(), `"told hi"`)
	})
}

func TestHandlerOptionsAreChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rooms := durableobject.NewNamespace(newPlain, &durableobject.Options{Verifier: secret})
		for _, pattern := range []string{"[", "", "https://app.example.com/", "https://app.example.com:443", "app.example.com/"} {
			require.Panics(t, func() {
				durableobject.NewHandler(rooms, &durableobject.HandlerOptions{OriginPatterns: []string{"fine.example", pattern}})
			}, pattern)
		}
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

// marking is a plugin that adds an interceptor, a serializer, and itself as another plugin.
type marking struct{ mark func() }

func (m marking) InitHandler(o *rpc.HandlerOptions) {
	o.Interceptors = append(o.Interceptors, rpc.OnStart(func(context.Context, *rpc.Call) { m.mark() }))
	o.Plugins = append(o.Plugins, m)
	o.Serializers = append(o.Serializers, value.JSONSerializer(100,
		func(marking) (any, error) { return "", nil }, func(any) (marking, error) { return marking{}, nil }))
}

// Two namespaces may be created with the same options: interceptors that a plugin adds to one are
// not added to the other.
func TestOptionsAreNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		mark := func(name string) func() { return func() { seen = append(seen, name) } }
		o := durableobject.Options{
			Interceptors: append(make([]rpc.Interceptor, 0, 4), rpc.OnStart(func(context.Context, *rpc.Call) { mark("common")() })),
			Plugins:      make([]rpc.HandlerPlugin, 1, 4),
			Serializers:  make([]value.Serializer, 0, 4),
		}
		var fixtures []*fixture
		for _, name := range []string{"first", "second"} {
			o.Plugins[0] = marking{mark(name)}
			fixtures = append(fixtures, newFixture(t, o, nil))
		}
		o.Interceptors[0], o.Plugins[0] = nil, nil // they have their own
		require.Nil(t, o.Interceptors[:2][1])
		require.Nil(t, o.Plugins[:2][1])
		require.Zero(t, o.Serializers[:1][0])
		for i, name := range []string{"first", "second"} {
			seen = nil
			c := fixtures[i].connect("a")
			c.subscribe()
			require.Equal(t, []string{"common", name}, seen)
			c.drop()
			fixtures[i].end()
		}
	})
}

// A namespace trims Options.Log only with TrimLog, because the log may be an archive of the
// application.
func TestLogsAreTrimmedOnlyIfAsked(t *testing.T) {
	t.Parallel()
	for name, trim := range map[string]bool{"not asked": false, "asked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := eventlog.NewMemory(nil)
				f := newFixture(t, durableobject.Options{ResumeRetention: time.Minute, Log: log, TrimLog: trim}, nil)
				f.publish("an entry")
				time.Sleep(time.Hour)
				f.end()
				replay, err := log.After(t.Context(), "room", eventlog.Position{})
				require.NoError(t, err)
				n := 0
				for rec, err := range replay.Records {
					require.NoError(t, err)
					require.Contains(t, string(rec.Data), "an entry")
					n++
				}
				require.Equal(t, trim, n == 0)
				require.NoError(t, log.Close())
			})
		})
	}
}

// slowLog is a log whose first Head takes long.
type slowLog struct {
	eventlog.Log
	asked atomic.Int64
}

func (l *slowLog) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	if l.asked.Add(1) == 1 {
		time.Sleep(time.Minute)
	}
	return l.Log.Head(ctx, channel)
}

// The task that moves cursors skips a channel that is being opened. Otherwise the race detector
// reports it.
func TestOpeningAChannelTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &slowLog{Log: eventlog.NewMemory(nil)}
		f := newFixture(t, durableobject.Options{ResumeRetention: 40 * time.Second, Log: log}, nil)
		f.publish("stored")
		require.EqualValues(t, 1, log.asked.Load())
		c := f.connect("a")
		c.subscribe(lastEventID("0"))
		c.sees("stored")
		c.drop()
		f.end()
		require.NoError(t, log.Close())
	})
}
