//go:build !js

package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// Each option of a call that Dial accepts has an effect.
func TestOptionsOfDial(t *testing.T) {
	busy := rpc.Errorf(rpc.CodeServiceUnavailable, "busy")
	t.Run("retries of the first token", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.issue = func(int) (*token.Payload, error) { return nil, busy }
			require.ErrorIs(t, h.dial(t.Context(), h.options(), rpc.WithRetry(3)).failure(), busy)
			require.Equal(t, []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}, h.fetchTimes())
		})
	})
	t.Run("retries of a later token", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.issue = func(n int) (*token.Payload, error) {
				if n == 2 {
					return nil, busy
				}
				return payload(func(p *token.Payload) { p.ExpiresAt = time.Now().Add(time.Hour) }), nil
			}
			o := h.options()
			o.RefreshTokenBeforeExpire = 10 * time.Minute
			o.RefreshTokenDelay = time.Minute
			retries := 0
			d := h.dial(t.Context(), o, rpc.Retry{
				Max: 1, Delay: func(int, error) time.Duration { return time.Second },
				If:      func(err error) bool { return errors.Is(err, busy) },
				OnRetry: func(int, error) func(bool) { retries++; return nil },
			})
			s := h.accept().expectSubscribe("")
			s.open("none", "")
			d.iterator()
			s.expectUpdateToken()
			require.Equal(t, []time.Duration{0, 50 * time.Minute, 50*time.Minute + time.Second}, h.fetchTimes())
			require.Equal(t, 1, retries)
		})
	})
	t.Run("retries end with the context", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.issue = func(int) (*token.Payload, error) { return nil, busy }
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			require.ErrorIs(t, h.dial(ctx, h.options(), rpc.WithRetry(rpc.Unlimited)).failure(), busy)
			require.Len(t, h.fetchTimes(), 2)
		})
	})
	t.Run("header and last event id", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			d := h.dial(t.Context(), h.options(), rpc.WithHeader("X-Mine", "1"), rpc.WithLastEventID("e-4"))
			for range 2 { // also for later ones
				s := h.accept()
				f := s.next()
				require.Contains(t, f.text, `"x-mine":"1"`)
				require.Contains(t, f.text, `"last-event-id":"e-4"`)
				s.sub = f.ID
				s.open("complete", "")
				synctest.Wait()
				s.drop()
			}
			d.iterator()
		})
	})
	t.Run("header of the answer", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			header := http.Header{"Old": {"1"}}
			d := h.dial(t.Context(), h.options(), rpc.WithResponseHeader(&header))
			s := h.accept().expectSubscribe("")
			s.open("none", "e-0")
			d.iterator()
			require.Equal(t, "e-0", header.Get("X-Durable-Iterator-Position"))
			header.Set("X-Durable-Iterator-Position", "mine") // not used by others
			s.drop()
			h.accept().expectSubscribe("e-0").open("complete", "e-9")
			synctest.Wait()
			require.Equal(t, "mine", header.Get("X-Durable-Iterator-Position"))
		})
	})
}

// The header that an option points to belongs to the application after Subscribe has
// returned, however often the procedure is called again.
func TestResponseHeaderOfSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		var header http.Header
		it := b.subscribe(listenInput{Life: 10 * time.Minute}, b.link(func(p *client.LinkPlugin) {
			p.RefreshTokenBeforeExpire = time.Minute
		}), rpc.WithResponseHeader(&header))
		require.Equal(t, "1", header.Get("X-Orpc-Durable-Iterator"))
		for range 60 {
			header.Set("X-Orpc-Durable-Iterator", "mine")
			time.Sleep(time.Minute)
			require.Equal(t, "mine", header.Get("X-Orpc-Durable-Iterator"))
		}
		require.Equal(t, int32(7), b.calls.Load())
		require.NoError(t, it.Close())
	})
}

// Gaps of the iterators of one link can be distinguished by the procedure and the channel.
func TestGapsNameTheirIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute})
		seen := make(chan client.GapError, 1)
		it := b.subscribe(listenInput{}, b.link(func(p *client.LinkPlugin) {
			p.OnGap = func(_ context.Context, g *client.GapError) { seen <- *g }
		}))
		go func() {
			for _, err := range it.All() {
				if err != nil {
					t.Error(err)
				}
			}
		}()
		b.publish(1)
		synctest.Wait()
		last := it.LastEventID()
		b.restart()
		require.Equal(t, client.GapError{Reason: client.GapTruncated, Channel: "room", Path: "onNumber", LastEventID: last}, <-seen)
	})
}

func TestBufferIsBoundedByBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferBytes = 10_000
		it, s := h.live(o)
		large := strings.Repeat("x", 3_000)
		event := func(n string) {
			s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":%q},"m":{"id":"e-%s"}}}`, s.sub, n+large, n)
		}
		for _, n := range []string{"1", "2", "3", "4", "5"} {
			event(n)
		}
		synctest.Wait()
		s.expectAbort()
		answered := callInBackground(t, it, "m") // calls continue meanwhile
		s.reply(s.next(), `{"json":"done"}`)
		require.Equal(t, "done", <-answered)

		l := read(t, it)
		l.expect("1"+large, "2"+large) // less than half of it is left
		s.expectSubscribe("e-3").open("complete", "")
		event("4")
		event("5")
		l.expect("3"+large, "4"+large, "5"+large)
		require.Len(t, h.tried(), 1)
	})
}

// Comments take much more memory than in their message.
func TestBufferCountsComments(t *testing.T) {
	inBubble(t, func(_ *testing.T, h *harness) {
		o := h.options()
		o.BufferBytes = 10_000
		_, s := h.live(o)
		comments := strings.TrimSuffix(strings.Repeat(`"",`, 300), ",") // 4,800 bytes in memory, 900 here
		for _, n := range []string{"1", "2", "3"} {
			s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":%q},"m":{"id":"e-%s","comments":[%s]}}}`, s.sub, n, n, comments)
		}
		synctest.Wait()
		s.expectAbort()
	})
}

func TestAnEventLargerThanTheBuffer(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferBytes = 100
		it, s := h.live(o)
		l := read(t, it)
		for range 3 {
			s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":%q}}}`, s.sub, strings.Repeat("x", 1000))
			l.expect(strings.Repeat("x", 1000))
		}
		require.True(t, s.quiet())
	})
}

// Wrong options return an error before anything else is done, with a sentence for each
// fault.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	url := "ws://localhost"
	custom := value.JSONSerializer(30, func(time.Month) (any, error) { return 0, nil }, func(any) (time.Month, error) { return 0, nil })
	for name, c := range map[string]struct {
		options *client.Options
		want    string
	}{
		"none":           {nil, "URL: it must be like ws://host/path or https://host/path"},
		"no address":     {&client.Options{URL: "localhost:3000"}, "URL: it must be like ws://host/path or https://host/path"},
		"no scheme":      {&client.Options{URL: "127.0.0.1:3000/socket"}, "URL: it must be like ws://host/path or https://host/path"},
		"two addresses":  {&client.Options{URL: url, URLFunc: func(context.Context, *token.Payload) (string, error) { return url, nil }}, "both URL and URLFunc"},
		"two refreshes":  {&client.Options{URL: url, RefreshTokenBeforeExpire: 1, RefreshTokenBeforeExpireFunc: func(*token.Payload) time.Duration { return 1 }}, "both RefreshTokenBeforeExpire and RefreshTokenBeforeExpireFunc"},
		"negative times": {&client.Options{URL: url, RefreshTokenDelay: -1, DialTimeout: -1}, "RefreshTokenDelay is negative; DialTimeout is negative"},
		"negative sizes": {&client.Options{URL: url, BufferSize: -1, BufferBytes: -1, MaxMessageBytes: -1}, "BufferSize is negative; BufferBytes is negative; MaxMessageBytes is negative"},
		"nil":            {&client.Options{URL: url, Interceptors: []rpc.Interceptor{nil}, Plugins: []rpc.LinkPlugin{nil}}, "an interceptor is nil; a plugin is nil"},
		"nil of plugin":  {&client.Options{URL: url, Plugins: []rpc.LinkPlugin{addsNil{}}}, "an interceptor of a plugin is nil"},
		"serializers":    {&client.Options{URL: url, Serializers: []value.Serializer{custom, custom}}, "Serializers: serializer: new: custom type 30 is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := client.ErrOptions.Error() + ": " + c.want
			_, err := client.Dial[string](t.Context(), client.TokenFunc(func(context.Context) (string, error) {
				return "", errors.New("a token is fetched")
			}), c.options)
			require.ErrorIs(t, err, client.ErrOptions)
			require.EqualError(t, err, want)
			plugin := client.LinkPlugin{}
			if c.options != nil {
				plugin = client.LinkPlugin(*c.options)
			}
			link := rpc.NewLink("http://localhost:0/rpc", &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&plugin}})
			_, err = client.Subscribe(t.Context(), link, onNumber, listenInput{})
			require.ErrorIs(t, err, client.ErrOptions)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// addsNil is a plugin that adds a nil interceptor.
type addsNil struct{}

func (addsNil) InitLink(o *rpc.LinkOptions) { o.Interceptors = append(o.Interceptors, nil) }
