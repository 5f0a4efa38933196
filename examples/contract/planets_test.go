package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/examples/contract/planets"
	"github.com/go-orpc/durable-iterator/rpc"
)

// These are the answers of @orpc/server 1.16.1 for the router in the documentation of
// package planets.
const (
	mars   = `{"json":{"name":"Mars","moons":["Phobos","Deimos"],"seenAt":"2026-01-02T03:04:05.000Z"},"meta":[[6,"moons"],[1,"seenAt"]]}`
	tooFar = `{"json":{"defined":true,"code":"TOO_FAR","status":404,"message":"TOO_FAR","data":{"lightYears":0.5}}}`
)

// newTypeScript starts a server that expects one request and answers it in this way.
func newTypeScript(t *testing.T, request string, status int, answer string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/rpc/planet/find" || string(body) != request {
			t.Errorf("got %s %s %s, %v", r.Method, r.URL.Path, body, err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/rpc"
}

func TestPlanetsOfATypeScriptServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id      int
		request string
		status  int
		answer  string
		want    string
	}{
		"found":          {4, `{"json":{"id":4}}`, 200, mars, "Mars has 2 moons and was last seen in 2026\n"},
		"declared error": {9, `{"json":{"id":9}}`, 404, tooFar, "9 is 0.5 light years away\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, find(t.Context(), newTypeScript(t, c.request, c.status, c.answer), c.id, &out))
			require.Equal(t, c.want, out.String())
		})
	}
}

func TestDatesReachATypeScriptServerAsDates(t *testing.T) {
	t.Parallel()
	url := newTypeScript(t, `{"json":{"id":4,"asOf":"2020-01-02T03:04:05.000Z"},"meta":[[1,"asOf"]]}`, 200, mars)
	planet, err := planets.Find.Call(t.Context(), rpc.NewLink(url, nil),
		planets.FindInput{ID: 4, AsOf: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)})
	require.NoError(t, err)
	require.Equal(t, planets.Planet{
		Name: "Mars", Moons: map[string]struct{}{"Phobos": {}, "Deimos": {}}, SeenAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, planet)
}
