package dial

import (
	"net/http"
	"time"
)

// Options configures Open. WriteTimeout is required.
type Options struct {
	// HTTPClient sends the request that opens the connection. Nil is
	// http.DefaultClient. Browsers ignore it.
	HTTPClient *http.Client
	// Header is sent with that request. In a browser it must be empty.
	Header http.Header
	// WriteTimeout is how long one write to the connection may take. Browsers ignore
	// it.
	WriteTimeout time.Duration
}
