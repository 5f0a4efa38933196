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
// *rpc.Error. kill ends the connection below the WebSocket, whatever that is doing.
func handshake(ctx context.Context, address *url.URL, tok string, hc *http.Client) (ws *websocket.Conn, kill func(), err error) {
	t := &tap{base: hc.Transport}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	own := *hc
	own.Transport = t
	// As browsers do for WebSockets. The request of a redirect would tell another
	// server the address of the first one, and so the token.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ws, response, err := websocket.Dial(ctx, address.String(), &websocket.DialOptions{HTTPClient: &own}) //nolint:bodyclose // Dial does
	if err == nil {
		return ws, func() { _ = t.body.Close() }, nil
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body) // at most 1 KiB, which is in memory
		return nil, nil, answerError(response.StatusCode, response.Header, redact(string(body), tok))
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // it has the address, and so the token, in it
		err = e.Err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return nil, nil, err
}

// tap keeps the body of the last answer, which for a WebSocket is the connection.
type tap struct {
	base http.RoundTripper
	body io.Closer
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err == nil {
		t.body = response.Body
	}
	return response, err
}
