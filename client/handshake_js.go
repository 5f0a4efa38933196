package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// handshake opens a WebSocket. A browser does not tell why it cannot, and lets nobody
// below it: kill closes it as soon as the browser can, and does not wait for that.
func handshake(ctx context.Context, address *url.URL, _ string, _ *http.Client) (ws *websocket.Conn, kill func(), err error) {
	u := *address
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	ws, _, err = websocket.Dial(ctx, u.String(), nil)
	return ws, func() { go func() { _ = ws.Close(websocket.StatusNormalClosure, "") }() }, err
}
