//go:build !js

package socket

import (
	"context"

	"github.com/coder/websocket"
)

// takeControl has control frames noticed, and pings answered by us.
func (c *Conn) takeControl(o *websocket.AcceptOptions) {
	o.OnPingReceived = func(_ context.Context, payload []byte) bool {
		c.controlled()
		c.answer(opPong, payload)
		return false // done
	}
	o.OnPongReceived = func(context.Context, []byte) { c.controlled() }
}
