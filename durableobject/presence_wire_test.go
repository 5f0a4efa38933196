package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/token"
)

// anyPayload is a verifier that accepts any payload.
type anyPayload token.Payload

func (v *anyPayload) Verify(context.Context, string) (*token.Payload, error) {
	p := token.Payload(*v)
	p.IssuedAt, p.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
	return &p, nil
}

// strictBus fails the test if a message is too large.
type strictBus struct {
	eventlog.Bus
	t *testing.T
}

func (b strictBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	err := b.Bus.Broadcast(ctx, topic, data)
	if len(data) > eventlog.MaxBusBytes || errors.Is(err, eventlog.ErrTooLarge) {
		b.t.Errorf("a message of %d bytes: %v", len(data), err) // not on the goroutine of the test
	}
	return err
}

// Other nodes learn of all members, whatever their tokens contain.
func TestPresenceOfAnyTokens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		clients int
		payload anyPayload
	}{
		"large attachments":             {70, anyPayload{Att: []byte(`"` + strings.Repeat("a", 1000) + `"`)}},
		"attachments like HTML":         {70, anyPayload{Att: []byte(`"` + strings.Repeat("<", 1000) + `"`)}},
		"attachments of control":        {30, anyPayload{Att: []byte(`"` + strings.Repeat(`\u0000`, 160) + `"`)}},
		"attachments that are no JSON":  {3, anyPayload{Att: []byte(`{"a":`)}},
		"tags like HTML":                {3, anyPayload{Tags: []string{strings.Repeat("<", 7000), strings.Repeat("&", 1000)}}},
		"tags of control characters":    {3, anyPayload{Tags: []string{strings.Repeat("\x01", 7000)}}},
		"tags that are larger than all": {3, anyPayload{Tags: []string{strings.Repeat("\u2028", 30_000)}}},
		"a channel that is no UTF-8":    {3, anyPayload{Channel: "room\xff"}},
		"a channel of control":          {3, anyPayload{Channel: strings.Repeat("\x01", 20_000)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if test.payload.Channel == "" {
					test.payload.Channel = "room"
				}
				bus, book := eventlogtest.NewSharedBus(), &guestBook{}
				start := func() *hallNode {
					h := bus.Open()
					n := newHallNode(t, book, durableobject.Options{
						Presence: &durableobject.PresenceOptions{}, Bus: strictBus{h, t}, Verifier: &test.payload,
					})
					n.bus = h
					return n
				}
				nodes := []*hallNode{start(), start()}
				time.Sleep(time.Minute)
				for i := range test.clients {
					_, err := nodes[0].dial(url.Values{"id": {fmt.Sprint(i)}, "token": {"any"}})
					require.NoError(t, err)
				}
				time.Sleep(10 * time.Second)
				nodes = append(nodes, start()) // which asks for all
				time.Sleep(5 * time.Second)
				for i, n := range nodes {
					o, err := n.halls.Get(t.Context(), test.payload.Channel)
					require.NoError(t, err)
					p, err := o.Presence(t.Context())
					require.NoError(t, err)
					require.Len(t, p.Members, test.clients, "node %d", i)
					require.Empty(t, p.Silent)
				}
				for _, n := range nodes {
					n.end()
				}
			})
		})
	}
}

// A member whose channel alone is larger than a message does not prevent the nodes from learning
// of others.
func TestPresenceOfAMemberThatIsTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, book := eventlogtest.NewSharedBus(), &guestBook{}
		large := strings.Repeat("x", 60_000)
		var nodes []*hallNode
		for range 2 {
			h := bus.Open()
			n := newHallNode(t, book, durableobject.Options{
				Presence: &durableobject.PresenceOptions{}, Bus: strictBus{h, t}, Verifier: channelOf{"large": large, "small": "room"},
			})
			n.bus = h
			nodes = append(nodes, n)
		}
		time.Sleep(time.Minute)
		for _, tok := range []string{"large", "small"} {
			_, err := nodes[0].dial(url.Values{"id": {"a"}, "token": {tok}})
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, []string{"a"}, nodes[0].members())
		require.Equal(t, []string{"a"}, nodes[1].members())
		for _, n := range nodes {
			n.end()
		}
	})
}

// channelOf is a verifier of tokens that have one channel each.
type channelOf map[string]string

func (v channelOf) Verify(_ context.Context, tok string) (*token.Payload, error) {
	channel, ok := v[tok]
	if !ok {
		return nil, errors.New("unknown token")
	}
	return &token.Payload{Channel: channel, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, nil
}
