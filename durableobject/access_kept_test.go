package durableobject_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
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

// What a client costs whose token was revoked, and that comes back again and again.
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
