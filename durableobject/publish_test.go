package durableobject_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

func TestPublish(t *testing.T) {
	admin := func(ws *durableobject.Websocket) bool { return string(ws.Token().Att) == `"admin"` }
	isA := func(ws *durableobject.Websocket) bool { return ws.ID() == "a" }
	for name, test := range map[string]struct {
		opts []durableobject.PublishOption
		sees string // ids of those who see it, of a (tag x), b (tags x, y, admin), c (no tags)
	}{
		"everybody (DI-082)":              {nil, "abc"},
		"tag (DI-088)":                    {[]durableobject.PublishOption{durableobject.WithTags("x")}, "ab"},
		"two tags, once (DI-093)":         {[]durableobject.PublishOption{durableobject.WithTags("x", "y", "x")}, "ab"},
		"tags add up":                     {[]durableobject.PublishOption{durableobject.WithTags("y"), durableobject.WithTags("z")}, "b"},
		"unknown tag":                     {[]durableobject.PublishOption{durableobject.WithTags("z")}, ""},
		"no tags at all is nobody":        {[]durableobject.PublishOption{durableobject.WithTags()}, ""},
		"target ids (DI-085)":             {[]durableobject.PublishOption{durableobject.WithTargetIDs("a", "c", "a", "away")}, "ac"},
		"no targets at all is nobody":     {[]durableobject.PublishOption{durableobject.WithTargets()}, ""},
		"target predicate (DI-091)":       {[]durableobject.PublishOption{durableobject.WithTargetsFunc(admin)}, "b"},
		"targets add up":                  {[]durableobject.PublishOption{durableobject.WithTargetsFunc(admin), durableobject.WithTargetIDs("c")}, "bc"},
		"exclude ids (DI-086)":            {[]durableobject.PublishOption{durableobject.WithExcludeIDs("a", "away")}, "bc"},
		"exclude nobody":                  {[]durableobject.PublishOption{durableobject.WithExclude()}, "abc"},
		"exclude predicate (DI-092)":      {[]durableobject.PublishOption{durableobject.WithExcludeFunc(isA)}, "bc"},
		"exclude wins (DI-087)":           {[]durableobject.PublishOption{durableobject.WithTargetIDs("a", "b"), durableobject.WithExcludeIDs("a")}, "b"},
		"tags with exclude (DI-089)":      {[]durableobject.PublishOption{durableobject.WithTags("x"), durableobject.WithExcludeFunc(isA)}, "b"},
		"tags with targets (DI-090)":      {[]durableobject.PublishOption{durableobject.WithTags("y"), durableobject.WithTargetIDs("a", "b")}, "b"},
		"predicate asked with tags":       {[]durableobject.PublishOption{durableobject.WithTags("x"), durableobject.WithTargetsFunc(isA)}, "a"},
		"recipients without subject":      {[]durableobject.PublishOption{durableobject.WithTargetRecipients(durableobject.Recipient{ID: "c"})}, "c"},
		"metadata does not change who":    {[]durableobject.PublishOption{durableobject.WithEventMeta(rpc.EventMeta{Retry: time.Second})}, "abc"},
		"an excluded recipient is spared": {[]durableobject.PublishOption{durableobject.WithExcludeRecipients(durableobject.Recipient{ID: "c"})}, "ab"},
	} {
		for _, retention := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(name, ", retention ", retention), func(t *testing.T) {
				bubble(t, durableobject.Options{ResumeRetention: retention}, func(_ *testing.T, f *fixture) {
					clients := map[rune]*rawClient{
						'a': f.connect("a", withTags("x")),
						'b': f.connect("b", withTags("x", "y"), withAtt(`"admin"`)),
						'c': f.connect("c"),
					}
					for _, c := range clients {
						c.subscribe()
					}
					f.publish("it", test.opts...)
					f.publish("end")
					for _, r := range test.sees {
						clients[r].sees("it")
					}
					for _, c := range clients {
						c.sees("end")
						c.seesNothing()
					}
				})
			})
		}
	}
}

func TestPublishErrors(t *testing.T) {
	bubble(t, durableobject.Options{ResumeRetention: time.Minute}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		var own *durableobject.Websocket
		for ws := range f.room("room").Websockets() {
			own = ws
		}
		other := f.room("elsewhere")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range map[string]error{
			"foreign target":  other.PublishEvent(t.Context(), message{"x"}, durableobject.WithTargets(own)),
			"foreign exclude": other.PublishEvent(t.Context(), message{"x"}, durableobject.WithExclude(own)),
			"line break in a comment": f.room("room").PublishEvent(t.Context(), message{"x"},
				durableobject.WithEventMeta(rpc.EventMeta{Comments: []string{"a\nb"}})),
			"control character in the id": f.room("room").PublishEvent(t.Context(), message{"x"},
				durableobject.WithEventMeta(rpc.EventMeta{ID: "a\x00b"})),
			"negative retry": f.room("room").PublishEvent(t.Context(), message{"x"},
				durableobject.WithEventMeta(rpc.EventMeta{Retry: -time.Second})),
			"context ended":         f.room("room").PublishEvent(ctx, message{"x"}),
			"nil option":            f.room("room").PublishEvent(t.Context(), message{"x"}, nil),
			"nil target":            f.room("room").PublishEvent(t.Context(), message{"x"}, durableobject.WithTargets(nil)),
			"nil target predicate":  f.room("room").PublishEvent(t.Context(), message{"x"}, durableobject.WithTargetsFunc(nil)),
			"nil exclude predicate": f.room("room").PublishEvent(t.Context(), message{"x"}, durableobject.WithExcludeFunc(nil)),
			"a socket of no object": f.room("room").PublishEvent(t.Context(), message{"x"}, durableobject.WithExclude(&durableobject.Websocket{})),
		} {
			require.Error(t, err, name)
		}
		require.ErrorIs(t, other.PublishEvent(t.Context(), message{"x"}, durableobject.WithTargets(own)), durableobject.ErrForeignWebsocket)
		f.publish("good")
		c.sees("good")
		c.seesNothing()
	})
}

// The exact frames of events.
func TestEventFrames(t *testing.T) {
	meta := durableobject.WithEventMeta(rpc.EventMeta{ID: "mine", Retry: 4321 * time.Millisecond, Comments: []string{"c"}})
	t.Run("without resume", func(t *testing.T) {
		bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
			c := f.connect("a")
			c.subscribe()
			f.publish("<&>\u2028")
			require.Equal(t, `{"i":"1","t":3,"p":{"e":"message","d":{"json":{"text":"<&>`+"\u2028"+`"}}}}`, c.next())
			f.publish("x", meta)
			require.Equal(t, `{"i":"1","t":3,"p":{"e":"message","d":{"json":{"text":"x"}},`+
				`"m":{"id":"mine","retry":4321,"comments":["c"]}}}`, c.next())
			f.publish("x", durableobject.WithEventMeta(rpc.EventMeta{RetryNow: true}))
			require.Equal(t, `{"i":"1","t":3,"p":{"e":"message","d":{"json":{"text":"x"}},"m":{"retry":0}}}`, c.next())
		})
	})
	t.Run("with resume", func(t *testing.T) {
		bubble(t, durableobject.Options{ResumeRetention: time.Minute}, func(t *testing.T, f *fixture) {
			c := f.connect("a")
			c.subscribe()
			f.publish("x", meta)
			require.Regexp(t, `^\{"i":"1","t":3,"p":\{"e":"message","d":\{"json":\{"text":"x"\}\},`+
				`"m":\{"id":"[0-9a-z]+-1","retry":4321,"comments":\["c"\]\}\}\}$`, c.next())
		})
	})
	t.Run("the id of the subscription is kept as it came", func(t *testing.T) {
		bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
			for _, id := range []string{`7`, `"zz"`, `null`} {
				c := f.connect("a")
				c.send(`{"i":` + id + `,"p":{"u":"/subscribe","b":{}}}`)
				require.Equal(t, `{"i":`+id+`,"p":{"h":{"content-type":"text/event-stream"}}}`, c.next())
				f.publish("x")
				require.Equal(t, `{"i":`+id+`,"t":3,"p":{"e":"message","d":{"json":{"text":"x"}}}}`, c.next())
				c.drop()
			}
		})
	})
}
