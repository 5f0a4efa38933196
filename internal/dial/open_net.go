//go:build !js

package dial

import (
	"context"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// Open connects to an address with scheme ws, wss, http or https. If the server does not
// accept the WebSocket, Open also returns its response, with up to 1 KiB of the body in
// memory.
func Open(ctx context.Context, address string, o Options) (*Conn, *http.Response, error) {
	own := http.DefaultClient
	if o.HTTPClient != nil {
		own = o.HTTPClient
	}
	hc, tap := *own, &tap{base: own.Transport}
	if tap.base == nil {
		tap.base = http.DefaultTransport
	}
	hc.Transport = tap
	ws, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: &hc, HTTPHeader: o.Header, Subprotocols: o.Subprotocols,
	})
	if err != nil {
		return nil, response, err
	}
	c := &Conn{ws: ws, wire: tap.wire}
	c.wire.watch(o.WriteTimeout, func() { c.Fail(ErrNotTaken) })
	return c, response, nil
}

// tap is an http.RoundTripper that puts a wire below the connection that a handshake opens.
type tap struct {
	base http.RoundTripper
	wire *wire
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if stream, ok := response.Body.(io.ReadWriteCloser); ok {
		t.wire = newWire(stream)
		response.Body = t.wire
	}
	return response, nil
}
