package dial

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

var errHeader = errors.New("a browser sends no headers of the application")

// Open connects to an address of scheme ws, wss, http or https. A browser does not
// tell why it cannot: there never is a response.
func Open(ctx context.Context, address string, o Options) (*Conn, *http.Response, error) {
	if len(o.Header) > 0 {
		return nil, nil, errHeader
	}
	if rest, ok := strings.CutPrefix(address, "http"); ok {
		address = "ws" + rest
	}
	ws, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, nil, err
	}
	return &Conn{ws: ws, wire: &wire{ws}}, nil, nil
}

// wire stands for what is below a WebSocket, where a browser lets nobody.
type wire struct{ ws *websocket.Conn }

func (w *wire) received() int64 { return 0 } // browsers do not tell
func (w *wire) hold()           {}
func (w *wire) flush() error    { return nil }
func (w *wire) letGo() error    { return nil }

// Close has the connection closed as soon as the browser can, and does not wait for
// that.
func (w *wire) Close() error {
	go func() { _ = w.ws.Close(websocket.StatusNormalClosure, "") }()
	return nil
}
