// Package writers looks through what middleware has put around the http.ResponseWriter of
// a server.
package writers

import "net/http"

// Unwrap returns what w wraps, as http.ResponseController does, or nil.
func Unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}

// Innermost returns the innermost writer that can be reached from w.
func Innermost(w http.ResponseWriter) http.ResponseWriter {
	for inner := Unwrap(w); inner != nil; inner = Unwrap(w) {
		w = inner
	}
	return w
}
