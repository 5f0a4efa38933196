package dial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall/js"
)

var errHeader = errors.New("browsers cannot send headers of the application")

// Open connects to an address with scheme ws, wss, http or https. Browsers do not report
// why they cannot connect: the response is always nil, and the error wraps ErrNotOpened.
// Errors contain neither the address nor a subprotocol.
func Open(ctx context.Context, address string, o Options) (*Conn, *http.Response, error) {
	if len(o.Header) > 0 {
		return nil, nil, errHeader
	}
	if rest, ok := strings.CutPrefix(address, "http"); ok {
		address = "ws" + rest
	}
	ws, err := newWebSocket(address, o.Subprotocols)
	if err != nil {
		return nil, nil, err
	}
	c := &Conn{
		ws: ws, writeTimeout: o.WriteTimeout,
		opened: make(chan struct{}), arrived: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	c.listen()
	select {
	case <-c.opened:
	case <-c.ended:
	case <-ctx.Done():
		c.Drop()
		return nil, nil, context.Cause(ctx)
	}
	select {
	case <-c.opened: // it may have ended since; Read then returns the code
		return c, nil, nil
	default:
		return nil, nil, ErrNotOpened
	}
}

// newWebSocket starts to open a WebSocket. The errors of browsers contain the address or
// the subprotocols, so newWebSocket returns only their names.
func newWebSocket(address string, subprotocols []string) (ws js.Value, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case js.Error:
			err = fmt.Errorf("%w: %s", ErrNotOpened, thrown.Value.Get("name").String())
		default:
			panic(thrown)
		}
	}()
	offered := make([]any, len(subprotocols))
	for i, name := range subprotocols {
		offered[i] = name
	}
	return js.Global().Get("WebSocket").New(address, offered), nil
}
