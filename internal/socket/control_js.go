package socket

import "github.com/coder/websocket"

// takeControl has nothing to do: nobody serves in a browser, where this is only to be
// compiled.
func (*Conn) takeControl(*websocket.AcceptOptions) {}
