package goroutine

import "runtime"

// stackRoom is about what a goroutine uses of its stack, at least, to read a message of a
// connection and to handle it, or to read a log and to write what it has, in bytes.
const stackRoom = 5 << 10

// GrowStack grows the stack of the calling goroutine, which is new, to the size that it is
// going to need for a connection. Without it the stack grows from its 2 KiB in steps, deep
// in what the goroutine does, where many frames have to be moved each time. That would be
// a tenth of the cost of a call. It is to be called where few functions are active.
//
//go:noinline
func GrowStack() {
	var room [stackRoom]byte
	runtime.KeepAlive(&room)
}
