package durableobject

import (
	"runtime/debug"

	"github.com/go-orpc/durable-iterator/rpc"
)

// try calls fn, which runs code of the application, and returns its error. A panic is
// a *rpc.PanicError.
func try(fn func() error) (err error) {
	defer recoverTo(&err)
	return fn()
}

// recoverTo turns a panic of user code into an error.
func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = &rpc.PanicError{Value: v, Stack: debug.Stack()}
	}
}
