//go:build !js

package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// The types of the procedure that the recorded servers call "count".
type (
	countInput struct {
		To     int `json:"to"`
		FailAt int `json:"failAt"`
		MS     int `json:"ms"`
	}
	countEvent struct {
		N int `json:"n"`
	}
	countResult struct {
		Total int `json:"total"`
	}
)

var count = rpc.DefineEvents[countInput, countEvent, countResult]("count")

func runCount(ctx context.Context, in countInput, w *rpc.EventWriter[countEvent]) (countResult, error) {
	for n := 1; n <= in.To; n++ {
		if in.MS > 0 {
			select {
			case <-time.After(time.Duration(in.MS) * time.Millisecond):
			case <-ctx.Done():
				return countResult{}, ctx.Err()
			}
		}
		if n == in.FailAt {
			return countResult{}, rpc.Errorf(rpc.CodeConflict, "stopped at %d", n)
		}
		meta := rpc.EventMeta{ID: fmt.Sprint("n-", n), Retry: 1234 * time.Millisecond}
		if err := w.SendEvent(rpc.Event[countEvent]{Data: countEvent{n}, Meta: meta}); err != nil {
			return countResult{}, err
		}
	}
	return countResult{in.To}, nil
}

// everyTransport runs a test in a bubble, once for each way from a caller to the
// procedures of a router. In the end nothing may be left running.
func everyTransport(t *testing.T, test func(t *testing.T, connect func(...rpc.Route) rpc.Caller)) {
	t.Helper()
	t.Parallel()
	for name, connect := range map[string]func(*testing.T, *rpc.Router) rpc.Caller{
		"in process": func(_ *testing.T, r *rpc.Router) rpc.Caller { return r },
		"HTTP":       overHTTP,
		"peers": func(t *testing.T, r *rpc.Router) rpc.Caller {
			client, _ := connect(t, transport.ServerPeerOptions{Handle: routed(r), TakesEvents: r.TakesEvents}, transport.ClientPeerOptions{})
			return client
		},
		"WebSocket": overWebsocket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test(t, func(routes ...rpc.Route) rpc.Caller { return connect(t, rpc.NewRouter(routes...)) })
			})
		})
	}
}

func overHTTP(t *testing.T, r *rpc.Router) rpc.Caller {
	t.Helper()
	server := memhttp.NewServer(rpc.NewHandler(r, nil))
	t.Cleanup(server.Close)
	return rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
}

func overWebsocket(t *testing.T, r *rpc.Router) rpc.Caller {
	t.Helper()
	client := hostRouter(t, r, nil)
	return dial(t, client, websocket.LinkOptions{})
}

// readAll reads a stream to its end and returns the events before its failure.
func readAll[T, R any](events *rpc.Events[T, R]) (all []rpc.Event[T], err error) {
	for event, err := range events.Events() {
		if err != nil {
			return all, err
		}
		all = append(all, event)
	}
	return all, nil
}

// counted is what count sends from the first to the last.
func counted(from, to int) []rpc.Event[countEvent] {
	var all []rpc.Event[countEvent]
	for n := from; n <= to; n++ {
		all = append(all, rpc.Event[countEvent]{
			Data: countEvent{n},
			Meta: rpc.EventMeta{ID: fmt.Sprint("n-", n), Retry: 1234 * time.Millisecond},
		})
	}
	return all
}

// scripted answers the requests of a link one after another with streams of events,
// and keeps the last event ids that came with them.
type scripted struct {
	answers []string
	lastIDs []string
}

func (s *scripted) link() *rpc.Link {
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		s.lastIDs = append(s.lastIDs, r.Header.Get("Last-Event-Id"))
		if len(s.answers) == 0 {
			return nil, http.ErrServerClosed
		}
		text := s.answers[0]
		s.answers = s.answers[1:]
		answer := reply(http.StatusOK, "text/event-stream", text)
		answer.ContentLength = -1
		return answer, nil
	})
	return rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()})
}
