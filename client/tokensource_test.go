package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

func TestFileToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	source := client.FileToken(path)
	_, err := source.Token(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, text := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(path, []byte("\uFEFF "+text+"\n"), 0o600))
		tok, err := source.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, text, tok)
	}
}

func TestHTTPToken(t *testing.T) {
	iterator := durableiterator.New[string]("room", &durableiterator.Options{Signer: token.Secret("k")})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/iterator":
			iterator.ServeHTTP(w, r)
		case "/plain":
			_, _ = w.Write([]byte("the-token\n"))
		case "/echo":
			_, _ = w.Write([]byte(r.Method + " " + r.Header.Get("Authorization")))
		case "/object":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"json":{"a":1}}`))
		case "/forbidden":
			http.Error(w, "not you", http.StatusForbidden)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()

	ask := func(path string, o *client.HTTPTokenOptions) (string, error) {
		return client.HTTPToken(server.URL+path, o).Token(t.Context())
	}
	tok, err := ask("/iterator", nil)
	require.NoError(t, err)
	_, err = token.Secret("k").Verify(t.Context(), tok)
	require.NoError(t, err)

	tok, err = ask("/plain", nil)
	require.NoError(t, err)
	require.Equal(t, "the-token", tok)

	tok, err = ask("/echo", &client.HTTPTokenOptions{
		Method: http.MethodPost,
		Header: func(context.Context) (http.Header, error) { return http.Header{"Authorization": {"me"}}, nil },
	})
	require.NoError(t, err)
	require.Equal(t, "POST me", tok)

	_, err = ask("/object", nil)
	require.ErrorIs(t, err, client.ErrNoToken)

	_, err = ask("/forbidden", nil)
	require.EqualError(t, err, "client: http token: FORBIDDEN: not you")
	require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))

	_, err = ask("/empty", nil)
	require.Error(t, err)

	broken := errors.New("no identity")
	_, err = ask("/plain", &client.HTTPTokenOptions{Header: func(context.Context) (http.Header, error) { return nil, broken }})
	require.ErrorIs(t, err, broken)
}

func TestHTTPTokenErrorsDoNotContainTheAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	for _, address := range []string{server.URL + "/?key=hidden", "http://h:port/?key=hidden"} {
		_, err := client.HTTPToken(address, nil).Token(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestHTTPTokenWithoutAnAddress(t *testing.T) {
	for _, address := range []string{"", "localhost:3000/token", "127.0.0.1:3000/token", "ws://localhost/token"} {
		_, err := client.HTTPToken(address, nil).Token(t.Context())
		require.ErrorIs(t, err, client.ErrOptions)
		require.EqualError(t, err, "client: http token: bad options: the address of the token must be like http://host/path")
	}
}

// A response with an error status may still contain a token.
func TestHTTPTokenErrorsDoNotContainTokens(t *testing.T) {
	signed, err := token.Secret("k").Sign(t.Context(), &token.Payload{Channel: "a channel", ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	escaped, err := json.Marshal(map[string]string{"json": signed})
	require.NoError(t, err)
	for _, status := range []int{201, 302, 400, 500} {
		for _, body := range []string{signed, string(escaped), strings.Repeat("x", 1<<20)} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "") // so that no redirect is followed
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}))
			_, err := client.HTTPToken(server.URL, nil).Token(t.Context())
			_, dialErr := client.Dial[string](t.Context(), client.HTTPToken(server.URL, nil), &client.Options{URL: "ws://h"})
			server.Close()
			for _, err := range []error{err, dialErr} {
				require.Error(t, err)
				requireNoPiece(t, signed, everything(err))
				require.Less(t, len(err.Error()), 2000)
			}
		}
	}
}

func TestDialWithoutToken(t *testing.T) {
	for name, c := range map[string]struct {
		source client.TokenSource
		is     error
	}{
		"no token at all":     {client.StaticToken("hello"), client.ErrNoToken},
		"an empty text":       {client.StaticToken(""), client.ErrNoToken},
		"a source that fails": {client.TokenFunc(func(context.Context) (string, error) { return "", os.ErrPermission }), os.ErrPermission},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Dial[string](t.Context(), c.source, &client.Options{URL: "ws://h"})
			require.ErrorIs(t, err, c.is)
		})
	}
}
