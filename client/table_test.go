//go:build !js

package client_test

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The reactions of a client, in the words of docs/client.md.
const (
	comesBack = "comes back"
	newToken  = "new token"
	endsIt    = "ends"
)

// row is a row of the table in docs/client.md: an action of a server, and the reaction of
// the client before it was live for the first time, and later.
type row struct {
	server       string
	first, later string
	status       int           // of the answer to an upgrade
	ends         func(*socket) // ends an open socket
	refusal      int           // the status that the code of a close frame contains
}

var table = []row{
	{"status 200", comesBack, comesBack, 200, nil, 0},
	{"status 302", comesBack, comesBack, 302, nil, 0},
	{"status 400", endsIt, comesBack, 400, nil, 0},
	{"status 401", newToken, newToken, 401, nil, 0},
	{"status 403", endsIt, comesBack, 403, nil, 0},
	{"status 404", endsIt, comesBack, 404, nil, 0},
	{"status 408", comesBack, comesBack, 408, nil, 0},
	{"status 410", endsIt, comesBack, 410, nil, 0},
	{"status 425", comesBack, comesBack, 425, nil, 0},
	{"status 426", endsIt, comesBack, 426, nil, 0},
	{"status 429", comesBack, comesBack, 429, nil, 0},
	{"status 500", comesBack, comesBack, 500, nil, 0},
	{"status 501", endsIt, comesBack, 501, nil, 0},
	{"status 502", comesBack, comesBack, 502, nil, 0},
	{"status 503", comesBack, comesBack, 503, nil, 0},
	{"status 504", comesBack, comesBack, 504, nil, 0},

	{"close 1000", comesBack, comesBack, 0, closing(1000, ""), 0},
	{"close 1001", comesBack, comesBack, 0, closing(1001, "going away"), 0},
	{"close 1002", comesBack, comesBack, 0, closing(1002, ""), 0},
	{"close 1003", comesBack, comesBack, 0, closing(1003, ""), 0},
	{"close without code", comesBack, comesBack, 0, closing(websocket.StatusNoStatusRcvd, ""), 0},
	{"no close frame", comesBack, comesBack, 0, (*socket).drop, 0},
	{"close 1007", comesBack, comesBack, 0, closing(1007, ""), 0},
	{"close 1008 Token expired", newToken, newToken, 0, closing(1008, "Token expired"), 0},
	{"close 1008", comesBack, comesBack, 0, closing(1008, "Too fast"), 0},
	{"close 1009", comesBack, comesBack, 0, closing(1009, ""), 0},
	{"close 1011", comesBack, comesBack, 0, closing(1011, "Internal error"), 0},
	{"close 1012", comesBack, comesBack, 0, closing(1012, "Service restart"), 0},
	{"close 1013", comesBack, comesBack, 0, closing(1013, "Too slow"), 0},
	{"close 3000", comesBack, comesBack, 0, closing(3000, ""), 0},
	{"close 4001", comesBack, comesBack, 0, closing(4001, "Token expired"), 0},
	{"close 4399", comesBack, comesBack, 0, closing(4399, ""), 0},
	refusing(400, endsIt, comesBack),
	refusing(401, newToken, newToken),
	refusing(403, endsIt, endsIt),
	refusing(404, endsIt, comesBack),
	refusing(408, comesBack, comesBack),
	refusing(410, endsIt, endsIt),
	refusing(425, comesBack, comesBack),
	refusing(429, comesBack, comesBack),
	refusing(499, endsIt, comesBack),
	refusing(500, comesBack, comesBack),
	refusing(501, endsIt, comesBack),
	refusing(503, comesBack, comesBack),
	refusing(599, comesBack, comesBack),
	{"close 4600", comesBack, comesBack, 0, closing(4600, ""), 0},
}

// refusing returns the row of a close frame with an HTTP status in its code.
func refusing(status int, first, later string) row {
	code := 4000 + status
	return row{"close " + strconv.Itoa(code), first, later, 0, closing(websocket.StatusCode(code), "sent away"), status}
}

func closing(code websocket.StatusCode, reason string) func(*socket) {
	return func(s *socket) { s.close(code, reason) }
}

func TestTable(t *testing.T) {
	for _, r := range table {
		t.Run(r.server+"/first", func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.answerOnce(1, r.status)
				d := h.dial(t.Context(), h.options())
				if r.ends != nil {
					r.ends(h.accept().expectSubscribe(""))
				}
				if r.first == endsIt {
					sent, ok := errors.AsType[*rpc.Error](d.failure())
					require.True(t, ok)
					require.Equal(t, max(r.status, r.refusal), sent.Status)
					require.Len(t, h.tried(), 1)
					return
				}
				h.expectReturn(r.first, "").open("none", "e-0")
				require.Equal(t, client.StateLive, d.iterator().State())
			})
		})
		t.Run(r.server+"/later", func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.answerOnce(2, r.status)
				it, s := h.live(h.options())
				if r.later == endsIt {
					r.ends(s)
					h.expectEnd(it, r.refusal)
					return
				}
				l := read(t, it)
				s.event("e-1")
				l.expect("e-1")
				if r.ends == nil {
					r.ends = (*socket).drop
				}
				r.ends(s)
				s = h.expectReturn(r.later, "e-1")
				s.open("complete", "e-1")
				s.event("e-2")
				l.expect("e-2")
			})
		})
	}
}

// expectEnd checks that an iterator has ended with a close frame that is final.
func (h *harness) expectEnd(it *client.Iterator[string], status int) {
	h.t.Helper()
	var err error
	for _, err = range it.All() {
		require.Error(h.t, err)
	}
	require.ErrorIs(h.t, err, client.ErrEnded)
	ended, ok := errors.AsType[*client.EndedError](err)
	require.True(h.t, ok)
	require.Equal(h.t, 4000+status, ended.Code)
	require.Equal(h.t, "sent away", ended.Reason)
	sent, ok := errors.AsType[*rpc.Error](err)
	require.True(h.t, ok)
	require.Equal(h.t, status, sent.Status)
	require.Len(h.t, h.tried(), 1)
	require.Equal(h.t, client.StateClosed, it.State())
}

// answerOnce answers the n-th upgrade with a status, if there is one.
func (h *harness) answerOnce(n, status int) {
	h.answer = func(i int, _ *http.Request) (int, http.Header, string) {
		if i == n {
			return status, nil, "refused"
		}
		return 0, nil, ""
	}
}

// expectReturn waits for the socket that the client opens next, and checks its token.
func (h *harness) expectReturn(how, lastEventID string) *socket {
	h.t.Helper()
	s := h.accept().expectSubscribe(lastEventID)
	fetches := map[string]int{comesBack: 1, newToken: 2}[how]
	require.Len(h.t, h.fetchTimes(), fetches)
	require.Equal(h.t, map[int]bool{1: false, 2: true}[fetches], strings.Contains(s.query.Get("token"), `"att":2`))
	require.Positive(h.t, time.Since(h.start), "after a pause")
	return s
}

// sources is the table of the answers of a source of tokens when a client requests a token
// because one has expired.
var sources = []struct {
	server string
	later  string
	err    error
}{
	{"source 400", comesBack, &rpc.Error{Code: rpc.CodeBadRequest, Status: 400}},
	{"source 401", endsIt, &rpc.Error{Code: rpc.CodeUnauthorized, Status: 401}},
	{"source 403", endsIt, &rpc.Error{Code: rpc.CodeForbidden, Status: 403}},
	{"source 404", endsIt, &rpc.Error{Code: rpc.CodeNotFound, Status: 404}},
	{"source 429", comesBack, &rpc.Error{Code: rpc.CodeTooManyRequests, Status: 429}},
	{"source 500", comesBack, &rpc.Error{Code: rpc.CodeInternalServerError, Status: 500}},
	{"source without answer", comesBack, errors.New("no route to host")},
}

func TestSourceTable(t *testing.T) {
	for _, r := range sources {
		t.Run(r.server+"/first", func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(int) (*token.Payload, error) { return nil, r.err }
				require.ErrorIs(t, h.dial(t.Context(), h.options()).failure(), r.err)
				require.Len(t, h.fetchTimes(), 1)
			})
		})
		t.Run(r.server+"/later", func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(n int) (*token.Payload, error) {
					if n == 2 {
						return nil, r.err
					}
					return payload(), nil
				}
				it, s := h.live(h.options())
				s.close(websocket.StatusPolicyViolation, "Token expired")
				if r.later == comesBack {
					h.accept().expectSubscribe("e-0").open("complete", "e-0")
					require.Len(t, h.fetchTimes(), 3)
					return
				}
				for _, err := range it.All() {
					require.ErrorIs(t, err, client.ErrRefused)
					require.ErrorIs(t, err, r.err)
				}
				require.Equal(t, client.StateClosed, it.State())
			})
		})
	}
}

// The document has each row of the tables above, and no other.
func TestTableIsDocumented(t *testing.T) {
	document, err := os.ReadFile("../docs/client.md")
	require.NoError(t, err)
	var want []string
	for _, r := range table {
		want = append(want, r.server+"|"+r.first+"|"+r.later+"|client.TestTable/"+strings.ReplaceAll(r.server, " ", "_"))
	}
	for _, r := range sources {
		want = append(want, r.server+"|"+endsIt+"|"+r.later+"|client.TestSourceTable/"+strings.ReplaceAll(r.server, " ", "_"))
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| ([^|]*) \\| ([^|]*) \\| ([^|]*) \\| `(.*/.*)` \\|$").FindAllSubmatch(document, -1) {
		server, _, _ := strings.Cut(string(m[1]), ":") // what follows is an explanation
		got = append(got, strings.Join([]string{server, string(m[2]), string(m[3]), string(m[4])}, "|"))
	}
	require.Equal(t, want, got)
}
