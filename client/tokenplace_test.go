//go:build !js

package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// door is the real server of sockets, with a key that can be changed. It records the
// requests.
type door struct {
	*memhttp.Server
	rooms *durableobject.Namespace[*durableobject.Object[int]]

	mu        sync.Mutex
	key       token.Secret
	authorize error
	addresses []string
	fetches   int
	issued    []string
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{key: secret}
	d.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*durableobject.Object[int], error) {
		return o, nil
	}, &durableobject.Options{ResumeRetention: time.Hour, Verifier: d})
	upgrade := durableobject.NewHandler(d.rooms, &durableobject.HandlerOptions{
		Authorize: func(*http.Request, *token.Payload) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.authorize
		},
	})
	d.Server = memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.addresses = append(d.addresses, r.URL.String())
		d.mu.Unlock()
		upgrade.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		require.NoError(t, d.rooms.Shutdown(context.Background()))
		d.Close()
	})
	return d
}

// Verify implements [token.Verifier].
func (d *door) Verify(ctx context.Context, tok string) (*token.Payload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.key.Verify(ctx, tok)
}

// Token implements [client.TokenSource].
func (d *door) Token(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fetches++
	now := time.Now().Truncate(time.Second)
	tok, err := d.key.Sign(ctx, &token.Payload{Channel: "room", IssuedAt: now, ExpiresAt: now.Add(time.Minute)})
	d.issued = append(d.issued, tok)
	return tok, err
}

func (d *door) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *door) options(place client.TokenPlace) *client.Options {
	return &client.Options{URL: d.URL() + "/room?region=eu", HTTPClient: d.Client(), TokenPlace: place}
}

func (d *door) publish(t *testing.T, n int) {
	t.Helper()
	o, err := d.rooms.Get(t.Context(), "room")
	require.NoError(t, err)
	require.NoError(t, o.PublishEvent(t.Context(), n))
}

// secretly checks that a text contains no token, encoded or not.
func (d *door) secretly(t *testing.T, text string) {
	t.Helper()
	for _, tok := range d.issued {
		require.NotContains(t, text, tok[strings.LastIndexByte(tok, '.')+1:])
		require.NotContains(t, text, base64.RawURLEncoding.EncodeToString([]byte(tok))[:20])
	}
	require.NotContains(t, text, "token=")
}

func TestTokenInSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		it, err := client.Dial[int](t.Context(), d, d.options(client.TokenInSubprotocol))
		require.NoError(t, err)
		d.publish(t, 1)
		readNumbers(t, it, 1)
		d.Cut()
		d.publish(t, 2)
		readNumbers(t, it, 2)
		time.Sleep(2 * time.Minute) // two tokens have expired
		d.publish(t, 3)
		readNumbers(t, it, 3)
		d.set(func() { d.key = "another key" })
		time.Sleep(2 * time.Minute)
		d.publish(t, 4)
		readNumbers(t, it, 4)
		require.NoError(t, it.Close())

		require.GreaterOrEqual(t, len(d.addresses), 5)
		for _, address := range d.addresses {
			require.True(t, strings.HasPrefix(address, "/room?region=eu&id="), address)
			d.secretly(t, address)
		}
	})
}

// A refusal by a close frame has the same effect as a refusal with a status.
func TestRefusedByACloseFrame(t *testing.T) {
	t.Run("a forged token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			forger := client.TokenFunc(func(ctx context.Context) (string, error) {
				tok, err := d.Token(ctx)
				return tok + "x", err
			})
			_, err := client.Dial[int](t.Context(), forger, d.options(client.TokenInSubprotocol))
			require.ErrorIs(t, err, client.ErrRefused)
			require.Equal(t, 401, statusIn(err))
			require.Equal(t, 2, d.fetches)
			d.secretly(t, err.Error())
		})
	})
	for name, refusal := range map[string]*rpc.Error{
		"403": {Code: rpc.CodeForbidden, Message: "Not yours"},
		"410": {Code: "GONE", Status: 410, Message: "Moved away"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(t)
				d.authorize = refusal
				_, err := client.Dial[int](t.Context(), d, d.options(client.TokenInSubprotocol))
				require.Equal(t, rpc.ToError(refusal).Status, statusIn(err))
				require.ErrorContains(t, err, refusal.Message)
				require.Len(t, d.addresses, 1)
				closed, ok := errors.AsType[websocket.CloseError](err)
				require.True(t, ok)
				require.Equal(t, 4000+rpc.ToError(refusal).Status, int(closed.Code))
			})
		})
	}
	t.Run("503 is tried again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			d.authorize = &rpc.Error{Code: rpc.CodeServiceUnavailable}
			time.AfterFunc(5*time.Second, func() { d.set(func() { d.authorize = nil }) })
			it, err := client.Dial[int](t.Context(), d, d.options(client.TokenInSubprotocol))
			require.NoError(t, err)
			require.Equal(t, 1, d.fetches)
			require.NoError(t, it.Close())
		})
	})
}

func TestTokenPlaceIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		for _, place := range []client.TokenPlace{-1, 3} {
			_, err := client.Dial[int](t.Context(), d, d.options(place))
			require.ErrorIs(t, err, client.ErrOptions)
		}
		require.Empty(t, d.addresses)
	})
}

// By default the token is where oRPC's client has it.
func TestTokenInURLByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, place := range []client.TokenPlace{0, client.TokenInURL} {
			d := newDoor(t)
			it, err := client.Dial[int](t.Context(), d, d.options(place))
			require.NoError(t, err)
			require.Contains(t, d.addresses[0], "&token=")
			require.NoError(t, it.Close())
		}
	})
}

// talkative is a transport whose errors contain all of a request.
type talkative struct{}

func (talkative) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("cannot send %v %v", r.URL, r.Header)
}

// Log records contain no token either.
func TestTokenInSubprotocolIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		var text bytes.Buffer
		o := d.options(client.TokenInSubprotocol)
		o.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.HTTPClient = &http.Client{Transport: talkative{}}
		o.ConnectTimeout = 5 * time.Second
		_, err := client.Dial[int](t.Context(), d, o)
		require.Error(t, err)
		d.secretly(t, text.String()+err.Error())
	})
}

func statusIn(err error) int {
	sent, ok := errors.AsType[*rpc.Error](err)
	if !ok {
		return 0
	}
	return sent.Status
}
