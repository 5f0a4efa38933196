// Package writers unwraps the http.ResponseWriter of middleware.
package writers

import "net/http"

// Unwrap returns the writer that w wraps, as http.ResponseController finds it, or nil if
// there is none.
func Unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}

// Innermost returns the innermost writer that can be reached from w by Unwrap.
func Innermost(w http.ResponseWriter) http.ResponseWriter {
	for inner := Unwrap(w); inner != nil; inner = Unwrap(w) {
		w = inner
	}
	return w
}
