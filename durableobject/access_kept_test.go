package durableobject_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// With a log on disk no revoked token is accepted after a restart.
func TestRevocationsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var revoked []string
	for run := range 5 {
		log, err := filelog.Open(dir, nil)
		require.NoError(t, err)
		f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: log}, nil)
		for _, id := range revoked {
			require.False(t, f.accepts(401, "room", withTokenID(id)), "run %d, token %s", run, id)
		}
		require.True(t, f.accepts(401, "room", withTokenID("fine")))
		for i := range 20 {
			id := fmt.Sprint(run, "-", i)
			require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: id}, time.Now().Add(time.Hour)))
			revoked = append(revoked, id)
		}
		f.end()
		require.NoError(t, log.Close())
	}
}

// runsOn runs a test on a namespace with a log on disk in dir, as if it were a process.
func runsOn(t *testing.T, dir string, do func(f *fixture)) {
	t.Helper()
	log, err := filelog.Open(dir, nil)
	require.NoError(t, err)
	f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: log}, nil)
	do(f)
	f.end()
	require.NoError(t, log.Close())
}

// A revocation until the end of time is stored, and replaces a shorter one.
func TestRevocationWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]time.Time{
		"in 90 years":  time.Now().AddDate(90, 0, 0),
		"in 200 years": time.Now().AddDate(200, 0, 0),
		"in 300 years": time.Now().AddDate(300, 0, 0),
		"year 9999":    time.Date(9999, 12, 31, 23, 59, 59, 1, time.UTC),
		"year 99999":   time.Date(99999, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, who := t.TempDir(), durableobject.Who{TokenID: "stolen"}
			runsOn(t, dir, func(f *fixture) {
				require.NoError(t, f.rooms.Revoke(t.Context(), who, time.Now().Add(time.Hour)))
				require.NoError(t, f.rooms.Revoke(t.Context(), who, until))
				require.NoError(t, f.rooms.Revoke(t.Context(), who, until))
				require.False(t, f.accepts(401, "room", withTokenID("stolen")))
			})
			runsOn(t, dir, func(f *fixture) { require.False(t, f.accepts(401, "room", withTokenID("stolen"))) })
		})
	}
}

// Extending a revocation does not use the capacity of another one.
func TestExtendedRevocationIsKeptOnce(t *testing.T) {
	t.Parallel()
	bus := eventlog.NewMemoryBus()
	f := newFixture(t, durableobject.Options{Bus: bus}, nil)
	defer f.end()
	for i := range 10 {
		until := time.Now().Add(time.Hour + time.Duration(i)*time.Minute)
		require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, until))
		kept, err := bus.Kept(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, kept, 1)
	}
}

// A clock that is temporarily ahead by less than a day ends no revocation for good, even across a
// restart.
func TestRevocationIsKeptForAnotherDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := eventlog.NewMemoryBus()
		f := newFixture(t, durableobject.Options{Bus: bus}, nil)
		defer f.end()
		kept := func() int {
			all, err := bus.Kept(t.Context(), "")
			require.NoError(t, err)
			return len(all)
		}
		require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
		time.Sleep(24 * time.Hour)
		require.True(t, f.accepts(401, "room", withTokenID("t1")), "it has ended")
		require.Equal(t, 1, kept())
		time.Sleep(time.Hour)
		require.Zero(t, kept())
	})
}

// A revocation can be extended even when there is no capacity for another one.
func TestTooManyRevocations(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		revoke := func(i int, ttl time.Duration) error {
			return f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: fmt.Sprint(i)}, time.Now().Add(ttl))
		}
		const limit = 100_000
		for i := range limit {
			require.NoError(t, revoke(i, time.Hour))
		}
		require.ErrorIs(t, revoke(limit, time.Hour), durableobject.ErrTooManyRevocations)
		require.NoError(t, revoke(7, time.Minute), "it is in force for longer")
		require.NoError(t, revoke(8, 2*time.Hour))
		time.Sleep(time.Hour)
		require.NoError(t, revoke(limit, time.Hour), "those that have ended make room")
		require.False(t, f.accepts(401, "room", withTokenID("8")))
	})
}

// deafBus is a bus that loses all messages, which the contract of a bus permits.
type deafBus struct{ eventlog.Bus }

func (deafBus) Broadcast(context.Context, string, []byte) error { return nil }

// A node that does not know a revocation does not shorten it.
func TestRevocationIsNotCutShortByAnotherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := eventlogtest.NewSharedBus()
		var nodes []*fixture
		start := func() {
			h := bus.Open()
			f := newFixture(t, durableobject.Options{Bus: deafBus{h}}, nil)
			f.ended = append(f.ended, func() { require.NoError(t, h.Close()) })
			nodes = append(nodes, f)
		}
		start()
		start()
		time.Sleep(time.Minute + time.Second)
		who := durableobject.Who{TokenID: "stolen"}
		require.NoError(t, nodes[0].rooms.Revoke(t.Context(), who, time.Now().Add(time.Hour)))
		require.NoError(t, nodes[1].rooms.Revoke(t.Context(), who, time.Now().Add(time.Minute)))
		for range 29 {
			time.Sleep(2 * time.Minute)
			start()
			for _, n := range nodes {
				require.False(t, n.accepts(401, "room", withTokenID("stolen")))
			}
			nodes[2].end()
			nodes = nodes[:2]
		}
		time.Sleep(2 * time.Minute)
		for _, n := range nodes {
			require.True(t, n.accepts(401, "room", withTokenID("stolen")))
			n.end()
		}
	})
}

// A value that this version cannot read might revoke any token, so no client is accepted. The
// other revocations are in force, and the log record names the key.
func TestRevocationOfAnotherVersion(t *testing.T) {
	t.Parallel()
	bus := eventlog.NewMemoryBus()
	var logged strings.Builder
	options := durableobject.Options{Bus: bus, Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))}
	f := newFixture(t, durableobject.Options{Bus: bus}, nil)
	require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour)))
	f.end()
	require.NoError(t, bus.Keep(t.Context(), "revoked/of a later version", []byte(`{"who":{"issuedBefore":17}}`), time.Hour))
	f = newFixture(t, options, nil)
	require.False(t, f.accepts(503, "room"))
	f.end()
	require.Contains(t, logged.String(), `key="revoked/of a later version"`)
}

// The cost of a client that reconnects again and again with a revoked token.
func BenchmarkRefusedUpgrade(b *testing.B) {
	v := newVenueOf(b, durableobject.Options{})
	require.NoError(b, v.rooms.Revoke(b.Context(), durableobject.Who{Channel: "room"}, time.Now().Add(time.Hour)))
	request := httptest.NewRequest(http.MethodGet, "/?"+url.Values{"id": {"a"}, "token": {v.token("room")}}.Encode(), nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		v.handler.ServeHTTP(w, request)
		require.Equal(b, http.StatusUnauthorized, w.Code)
	}
}
