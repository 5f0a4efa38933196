package service

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// The recorded sessions of the original are replayed with our server. The answers must be
// equal, except for the differences in testdata/differences.json, each with its reason
// ("W…" are known weaknesses of the original), and one difference that is the same
// everywhere: the close frame of a client is answered (W41).
//
// No recorded client sends the header x-durable-iterator, so the sessions also show that a
// subscriber without it receives only the original's frames.
//
// One recorded session is not replayed: id-too-long lacks its main request. Session upgrade
// has a long id.
func TestSessions(t *testing.T) {
	t.Parallel()
	recordings := readRecordings(t)
	var differences []*difference
	readJSON(t, "testdata/differences.json", &differences)
	for _, d := range differences {
		require.NotNil(t, recordings[d.Session], "a difference of session %q", d.Session)
	}
	for name, r := range recordings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replayIn(t, r, readDifferences(t, name, ""), newHost)
		})
	}
}

func replayIn(t *testing.T, r *recording, differences []*difference, newHost func(*testing.T) *host) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := r.start(t)
		time.Sleep(time.Until(start.Add(-time.Second)))
		h := newHost(t)
		defer h.close()
		replaySession(t, h, r, differences, start)
	})
}

// By default, pages of other origins are refused.
func TestDefaultOriginCheck(t *testing.T) {
	t.Parallel()
	const variant = "default origin check"
	replayIn(t, readRecordings(t)["upgrade"], readDifferences(t, "upgrade", variant), func(t *testing.T) *host {
		t.Helper()
		return newHostWith(t, func(s *server) http.Handler { return durableobject.NewHandler(s.chat, nil) })
	})
}
