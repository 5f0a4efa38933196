package writers

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// Flush flushes w and every writer inside it. Some of those that middleware has put around
// the writer of the server flush the next one only if it is an http.Flusher, others panic if
// it is not. The error wraps http.ErrNotSupported if the innermost writer cannot flush or
// has panicked.
func Flush(w http.ResponseWriter) error {
	for {
		inner := Unwrap(w)
		err := flush(w)
		if inner == nil || err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		w = inner
	}
}

func flush(w http.ResponseWriter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: panic: %s", http.ErrNotSupported, asynclog.PanicText(v))
		}
	}()
	switch f := w.(type) {
	case interface{ FlushError() error }:
		return f.FlushError()
	case http.Flusher:
		f.Flush()
		return nil
	}
	return http.ErrNotSupported
}

// CanFlush reports whether the innermost accessible writer can flush. A writer around it
// may have the method without flushing.
func CanFlush(w http.ResponseWriter) bool {
	switch Innermost(w).(type) {
	case interface{ FlushError() error }, http.Flusher:
		return true
	}
	return false
}
