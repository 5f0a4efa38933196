package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// handshake opens a WebSocket. A browser does not tell why it cannot, and there is
// nothing below it to kill.
func handshake(ctx context.Context, address *url.URL, _ string, _ *http.Client) (ws *websocket.Conn, kill func(), err error) {
	u := *address
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	ws, _, err = websocket.Dial(ctx, u.String(), nil)
	return ws, func() {}, err
}
