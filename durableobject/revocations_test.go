package durableobject_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

// refuses reports whether a token is refused because it was revoked.
func (f *fixture) refuses(channel string, opts ...tokenOption) bool {
	f.t.Helper()
	w := f.handshake(url.Values{"id": {"a"}, "token": {sign(f.t, channel, opts...)}}, nil)
	require.NotEqual(f.t, http.StatusServiceUnavailable, w.Code)
	return w.Code == http.StatusUnauthorized
}

// ruling is a revocation that the test has made.
type ruling struct {
	durableobject.Who
	until time.Time
}

func (r *ruling) refuses(subject string, p *token.Payload, now time.Time) bool {
	return now.Before(r.until) &&
		(r.TokenID == "" || r.TokenID == p.ID) && (r.Subject == "" || r.Subject == subject) &&
		(r.Channel == "" || r.Channel == p.Channel) && (r.Tag == "" || slices.Contains(p.Tags, r.Tag)) &&
		(r.IssuedBefore.IsZero() || !p.IssuedAt.After(r.IssuedBefore))
}

// Several revocations together refuse the tokens that any one of them refuses.
func TestRevocationsTogether(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, durableobject.Options{Subject: subjectOf, IdleTimeout: time.Minute}, func(t *testing.T, f *fixture) {
				rng := rand.New(rand.NewPCG(seed, 3))
				pick := func(kind string) string { return kind + string(rune('0'+rng.IntN(3))) }
				maybe := func(kind string) string {
					if rng.IntN(3) > 0 {
						return ""
					}
					return pick(kind)
				}
				start := time.Now()
				var made []ruling
				for range 150 {
					r := ruling{durableobject.Who{
						TokenID: maybe("id"), Subject: maybe("user"), Channel: maybe("room"), Tag: maybe("tag"),
					}, time.Now().Add(time.Duration(1+rng.IntN(20)) * time.Second)}
					if rng.IntN(2) == 0 {
						r.IssuedBefore = start.Add(time.Duration(rng.IntN(200)-100) * time.Second)
					}
					if r.Who != (durableobject.Who{}) {
						require.NoError(t, f.rooms.Revoke(t.Context(), r.Who, r.until))
						made = append(made, r)
					}
					for range 10 {
						p := token.Payload{
							ID: maybe("id"), Channel: pick("room"), Tags: []string{pick("tag"), "", pick("tag")}[:rng.IntN(4)],
							IssuedAt: start.Add(time.Duration(rng.IntN(200)-100) * time.Second).Truncate(time.Second),
						}
						subject := maybe("user")
						want := slices.ContainsFunc(made, func(r ruling) bool { return r.refuses(subject, &p, time.Now()) })
						got := f.refuses(p.Channel, withAtt(`"`+subject+`"`), withTags(p.Tags...), func(q *token.Payload) {
							q.ID, q.IssuedAt = p.ID, p.IssuedAt
						})
						require.Equal(t, want, got, "token %v of %q, revocations %v", p, subject, made)
					}
					time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
				}
			})
		})
	}
}

// Any number of revocations with the same fields can be matched and removed quickly.
func TestRevocationsOfOneUser(t *testing.T) {
	t.Parallel()
	const count = 20_000
	synctest.Test(t, func(t *testing.T) {
		values := map[string][]byte{}
		start := time.Now().Truncate(time.Second)
		issued := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
		for i := range count { // none covers another
			value, err := json.Marshal(map[string]any{
				"who":   durableobject.Who{Subject: "ann", IssuedBefore: issued(i)},
				"until": start.Add(time.Minute - time.Duration(i)*time.Millisecond),
			})
			require.NoError(t, err)
			values[fmt.Sprint("revoked/", i)] = value
		}
		bus := newFixedBus(values)
		f := newFixture(t, durableobject.Options{Bus: bus, Subject: subjectOf, IdleTimeout: 10 * time.Second}, nil)
		synctest.Wait()
		of := func(subject string, at time.Time) bool {
			return f.refuses("room", withAtt(`"`+subject+`"`), func(p *token.Payload) { p.IssuedAt = at })
		}
		for i := 0; i < count; i += count / 10 {
			require.True(t, of("ann", issued(i)))
			require.False(t, of("bob", issued(i)))
		}
		require.False(t, of("ann", issued(count)))
		time.Sleep(50*time.Second - time.Since(start))
		require.True(t, of("ann", issued(count/2-1)))
		require.False(t, of("ann", issued(count/2)))
		bus.values.Store(&map[string][]byte{})
		time.Sleep(time.Minute)
		require.False(t, of("ann", issued(0)))
		f.end()
	})
}
