package goroutine

import "runtime"

// stackRoom is about how many bytes of its stack a goroutine needs at least to read a
// message of a connection and to handle it, or to read a log and write to a connection.
const stackRoom = 5 << 10

// GrowStack grows the stack of the calling goroutine, which must be new, to the size that
// it will need for a connection. Otherwise the stack would grow from its 2 KiB in steps,
// deep in nested calls, and many frames would have to be copied each time, which takes a
// tenth of the time of a call. Call it where few functions are active.
//
//go:noinline
func GrowStack() {
	var room [stackRoom]byte
	runtime.KeepAlive(&room)
}
