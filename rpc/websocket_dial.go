//go:build !js

package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// dialWebsocket also gives the stream that the connection runs on.
func dialWebsocket(ctx context.Context, address string, o *WebsocketOptions) (*websocket.Conn, io.Closer, error) {
	client := *cmp.Or(o.HTTPClient, http.DefaultClient)
	upgrade := &upgradeTransport{base: cmp.Or(client.Transport, http.DefaultTransport)}
	client.Transport = upgrade
	//nolint:bodyclose // Dial has read the body
	conn, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: o.Header})
	if err != nil {
		return nil, nil, dialError(ctx, response, err)
	}
	return conn, upgrade.stream, nil
}

// upgradeTransport keeps the stream of the last answer. Conn.CloseNow does not close
// it while Conn.Close waits for the server.
type upgradeTransport struct {
	base   http.RoundTripper
	stream io.Closer
}

func (t *upgradeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err == nil {
		t.stream = response.Body
	}
	return response, err
}

func dialError(ctx context.Context, r *http.Response, err error) error {
	if r == nil || r.StatusCode == http.StatusSwitchingProtocols || !isErrorStatus(r.StatusCode) {
		if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return fmt.Errorf("rpc: dial websocket: %w", err)
	}
	text, _ := io.ReadAll(r.Body) // at most 1 KiB, from memory
	return ErrorResponse{Status: r.StatusCode, Headers: r.Header, Body: string(text)}.err().WithCause(err)
}
