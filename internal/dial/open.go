package dial

import (
	"net/http"
	"time"
)

// Options configures Open. WriteTimeout is required.
type Options struct {
	// HTTPClient sends the request that opens the connection. Nil is
	// http.DefaultClient. In a browser it does not count.
	HTTPClient *http.Client
	// Header is sent with that request. In a browser it has to be empty.
	Header http.Header
	// WriteTimeout is how long the connection may take for what is sent at a time.
	// In a browser it does not count.
	WriteTimeout time.Duration
}
