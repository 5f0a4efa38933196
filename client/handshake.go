package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

// open opens the socket. The error may contain the token.
func (c *core) open(ctx context.Context, cred credential) (*connection, error) {
	text := c.options.URL
	if c.options.URLFunc != nil {
		var err error
		if text, err = c.options.URLFunc(ctx, cred.payload); err != nil {
			return nil, fmt.Errorf("URLFunc: %w", err)
		}
	}
	address, err := parseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	address, subprotocols := c.options.TokenPlace.put(address, c.id, cred.text)
	conn, err := handshake(ctx, address, subprotocols, c.options.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address.Host, err) // its query has the token
	}
	minRate := minReadRate
	if address.Scheme == "wss" || address.Scheme == "https" {
		minRate = minReadRateTLS
	}
	return &connection{
		Conn: conn, cred: cred, redact: c.redact, maxBytes: c.options.MaxMessageBytes,
		reader: newReader(c.buffer.space, c.options.maxReaderWait(), minRate, c.peer.Busy, conn.Crowded),
		done:   make(chan struct{}), doubt: make(chan struct{}, 1),
	}, nil
}

// handshake opens a WebSocket at an address. If the server refuses it, the error is an
// *rpc.Error. Errors may contain the address and the subprotocols.
func handshake(ctx context.Context, address *url.URL, subprotocols []string, hc *http.Client) (*dial.Conn, error) {
	own := *hc
	// Redirects are not followed, as in browsers. The request after a redirect would send
	// the address of the first server, and so the token, to another one.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	//nolint:bodyclose // Open has read the body
	conn, response, err := dial.Open(ctx, address.String(), dial.Options{
		HTTPClient: &own, Subprotocols: subprotocols, WriteTimeout: writeTimeout,
	})
	if err == nil {
		return conn, nil
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body) // at most 1 KiB, which is in memory
		return nil, answerError(response.StatusCode, response.Header, string(body))
	}
	err = withoutAddress(err)
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return nil, err
}

// maxReaderWait returns the longest time for which the reader of a connection waits for loops.
// It must end before a ping has failed, whose answer it delays.
func (o *Options) maxReaderWait() time.Duration {
	if o.PingInterval > 0 {
		return min(maxReaderWait, o.PingInterval/2)
	}
	return maxReaderWait
}
