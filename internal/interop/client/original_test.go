package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// original is a proxy in front of a server of this library that makes it behave like
// oRPC's: it supports no extension, accepts an empty or a long id, and runs procedures for
// any method and body.
type original struct {
	chat string // of the server behind it
	http *httputil.ReverseProxy
}

func newOriginal(t *testing.T, at target) target {
	t.Helper()
	address, err := url.Parse(at.rpc)
	require.NoError(t, err)
	o := &original{chat: strings.TrimSuffix(at.chat, "/chat-room")}
	o.http = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = address.Scheme, address.Host
		switch r.In.Method {
		case http.MethodHead, http.MethodOptions:
			r.Out.Method = http.MethodPost
		}
		if r.Out.Header.Get("Content-Type") == "text/plain" {
			r.Out.Body, r.Out.ContentLength = http.NoBody, 0
		}
	}}
	srv := httptest.NewServer(o)
	t.Cleanup(srv.Close)
	return target{rpc: srv.URL + "/rpc", chat: "ws" + strings.TrimPrefix(srv.URL, "http") + "/chat-room"}
}

func (o *original) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		// The body is read before anything is answered: net/http closes the body of a
		// request when the answer begins, and a ReverseProxy that still reads it cuts off
		// the answer.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		o.http.ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	if id := query.Get("id"); query.Has("id") && (id == "" || len(id) > 256) {
		query.Set("id", "accepted")
	}
	far, refused, err := websocket.Dial(r.Context(), o.chat+r.URL.Path+"?"+query.Encode(), nil)
	if err != nil {
		if refused != nil {
			w.WriteHeader(refused.StatusCode)
		}
		return
	}
	near, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		_ = far.CloseNow()
		return
	}
	var relays sync.WaitGroup
	relays.Go(func() { relay(near, far, true) })
	relays.Go(func() { relay(far, near, false) })
	relays.Wait()
}

// relay forwards messages until one end is closed, and closes the other in the same way.
func relay(from, to *websocket.Conn, request bool) {
	from.SetReadLimit(-1)
	ctx := context.Background()
	for {
		kind, message, err := from.Read(ctx)
		if err != nil {
			if closed, ok := errors.AsType[websocket.CloseError](err); ok {
				_ = to.Close(closed.Code, closed.Reason)
			} else {
				_ = to.CloseNow()
			}
			return
		}
		if request {
			message = []byte(strings.Replace(string(message), `"x-durable-iterator":"1"`, `"x-unknown":"1"`, 1))
		}
		if to.Write(ctx, kind, message) != nil {
			_ = from.CloseNow()
			return
		}
	}
}

// Checks that fail because of weaknesses of oRPC's server are listed and do not make the
// run fail.
func TestOriginal(t *testing.T) {
	t.Parallel()
	at := newOriginal(t, startServer(t))
	var out strings.Builder
	err := run(t.Context(), &out, []string{at.rpc, at.chat})
	require.NoError(t, err, "%s", &out)
	for _, name := range []string{
		"protocol: an empty id is refused (W4)", "protocol: a long id is refused (W15)",
		"http: methods that run nothing (W26)", "http: a body that is not JSON is refused (W27)",
		"resume: lost before the first event (W2)", "gap: rooms that keep no events (extension)",
	} {
		require.Contains(t, out.String(), "lacks "+name+": ")
	}
	out.Reset()
	err = run(t.Context(), &out, []string{at.rpc, at.chat, "-only", "protocol:", "-extensions"})
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, out.String(), "FAIL  protocol: an empty id is refused (W4): ")
}
