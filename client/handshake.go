//go:build !js

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// handshake opens a WebSocket at an address that has the token tok in it, which does
// not get into errors. If the server answers with anything else, the error is an
// *rpc.Error.
func handshake(ctx context.Context, address *url.URL, tok string, hc *http.Client) (*websocket.Conn, error) {
	ws, response, err := websocket.Dial(ctx, address.String(), &websocket.DialOptions{HTTPClient: withoutRedirects(hc)})
	if err == nil {
		return ws, nil
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body) // at most 1 KiB, which is in memory
		return nil, answerError(response.StatusCode, response.Header, redact(string(body), tok))
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // it has the address, and so the token, in it
		err = e.Err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return nil, err
}

// withoutRedirects is as browsers do for WebSockets. The request of a redirect would
// tell another server the address of the first one, and so the token.
func withoutRedirects(hc *http.Client) *http.Client {
	c := *hc
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
