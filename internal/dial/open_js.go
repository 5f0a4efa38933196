package dial

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

var errHeader = errors.New("browsers send no headers of the application")

// Open connects to an address of scheme ws, wss, http or https. Browsers do not report why
// they cannot connect: the response is always nil.
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

// wire takes the place of the stream below a WebSocket, which browsers do not expose.
type wire struct{ ws *websocket.Conn }

func (w *wire) received() int64 { return 0 } // browsers do not report it
func (w *wire) hold()           {}
func (w *wire) flush() error    { return nil }
func (w *wire) release() error  { return nil }

// Close starts to close the connection, and does not wait for the browser.
func (w *wire) Close() error {
	go func() { _ = w.ws.Close(websocket.StatusNormalClosure, "") }()
	return nil
}
