package dial

import (
	"errors"
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
	// Subprotocols are offered to the server, which may select one of them.
	Subprotocols []string
	// WriteTimeout is how long one write to the connection may take. In a browser it is
	// how long a write waits for those before it.
	WriteTimeout time.Duration
}

// ErrNotTaken is the reason for closing a connection whose server has accepted no bytes for
// Options.WriteTimeout.
var ErrNotTaken = errors.New("the server does not take messages")

// ErrNotOpened is returned by Open in browsers if the connection could not be opened. They
// do not report why.
var ErrNotOpened = errors.New("the browser could not open the WebSocket, and does not report why")
