package peer

import "runtime"

// stackRoom is about how many bytes of stack a goroutine needs that handles or sends a
// message.
const stackRoom = 5 << 10

// growStack grows the stack of a new goroutine to the size that it will need. Without it the
// stack grows from its 2 KiB in steps, in deep calls, where much of it is copied each
// time. That would be a tenth of the cost of a call.
//
//go:noinline
func growStack() {
	var room [stackRoom]byte
	runtime.KeepAlive(&room)
}
