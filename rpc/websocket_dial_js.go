package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/coder/websocket"
)

var errNoHeader = errors.New("rpc: dial websocket: a browser sends no headers of the application")

// dialWebsocket leaves the connecting to the browser, which does not tell why it failed.
func dialWebsocket(ctx context.Context, address string, o *WebsocketOptions) (*websocket.Conn, io.Closer, error) {
	if len(o.Header) > 0 {
		return nil, nil, errNoHeader
	}
	conn, _, err := websocket.Dial(ctx, address, nil) //nolint:bodyclose // there is none
	if err != nil {
		return nil, nil, fmt.Errorf("rpc: dial websocket: %w", err)
	}
	return conn, browserSocket{conn}, nil
}

// browserSocket closes a connection without waiting for the server.
type browserSocket struct{ conn *websocket.Conn }

func (s browserSocket) Close() error { return s.conn.CloseNow() }
