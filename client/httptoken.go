package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// maxTokenBytes is the maximum size of the response of a token route. Tokens are sent in
// addresses, so useful ones are much shorter.
const maxTokenBytes = 1 << 20

// maxErrorBody is how many bytes of an error response are kept.
const maxErrorBody = 1 << 10

// HTTPTokenOptions configures [HTTPToken]. The zero value is usable.
type HTTPTokenOptions struct {
	// Method is the method of the request. Empty means GET.
	Method string
	// Header returns headers to send, such as Authorization. It is called for each
	// fetch; if it returns an error, the fetch fails with it. Nil means no headers.
	Header func(ctx context.Context) (http.Header, error)
	// HTTPClient sends the request. Nil means http.DefaultClient.
	HTTPClient *http.Client
}

// HTTPToken returns a source that fetches tokens from an address. The server there responds
// as durableiterator.Subscription.ServeHTTP does, or with the token as plain text. If o is nil,
// the defaults are used.
//
// If the response has an error status, the error of the source wraps an *rpc.Error; if there
// is no response, it wraps a *url.Error without the path and query of the address. If the
// address is not an http or https URL, it wraps [ErrOptions].
//
// For a procedure of package rpc use [Subscribe].
func HTTPToken(address string, o *HTTPTokenOptions) TokenSource {
	s := &httpSource{address: address}
	if o != nil {
		s.options = *o
	}
	return s
}

type httpSource struct {
	address string
	options HTTPTokenOptions
}

func (s *httpSource) Token(ctx context.Context) (string, error) {
	text, err := s.fetch(ctx)
	if err != nil {
		return "", prefixed("client: http token", newRedactor().clean(err))
	}
	return text, nil
}

func (s *httpSource) fetch(ctx context.Context) (string, error) {
	if u, err := parseAddress(s.address); err != nil || !strings.HasPrefix(u.Scheme, "http") {
		return "", fmt.Errorf("%w: the address of the token must be like http://host/path", ErrOptions)
	}
	r, err := http.NewRequestWithContext(ctx, cmp.Or(s.options.Method, http.MethodGet), s.address, nil)
	if err != nil {
		return "", err
	}
	if s.options.Header != nil {
		header, err := s.options.Header(ctx)
		if err != nil {
			return "", fmt.Errorf("header: %w", err)
		}
		maps.Copy(r.Header, header)
	}
	response, err := cmp.Or(s.options.HTTPClient, http.DefaultClient).Do(r)
	if err != nil {
		return "", &url.Error{Op: r.Method, URL: r.URL.Scheme + "://" + r.URL.Host, Err: withoutAddress(err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxTokenBytes))
	if err != nil {
		return "", err
	}
	body = jsontext.TrimByteOrderMark(body)
	if response.StatusCode != http.StatusOK {
		return "", answerError(response.StatusCode, response.Header, string(body[:min(len(body), maxErrorBody)]))
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return strings.TrimSpace(string(body)), nil
	}
	var envelope struct {
		JSON string `json:"json"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return "", because(ErrNoToken, err)
	}
	return envelope.JSON, nil
}
