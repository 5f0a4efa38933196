package peer

import "runtime"

// stackRoom is what a goroutine that handles or sends a message uses of its stack, in
// bytes: about, and at least.
const stackRoom = 5 << 10

// growStack gives a new goroutine the stack that it is going to need. Without it the
// stack grows from its 2 KiB in steps, deep in what the goroutine does, where much of
// it has to be moved each time. That would be a tenth of the cost of a call.
//
//go:noinline
func growStack() {
	var room [stackRoom]byte
	runtime.KeepAlive(&room)
}
