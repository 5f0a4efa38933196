package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/batch"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

// batchPath is added to the address of a batch's first call.
const batchPath = "/__batch__"

var errBatchIncomplete = errors.New("the answer to the batch has no answer to the call")

// send sends calls, together if there are several whose callers still wait.
func (b *batcher) send(calls []*batchedCall) {
	calls = slices.DeleteFunc(calls, func(c *batchedCall) bool { return c.ctx.Err() != nil })
	if len(calls) == 0 {
		return
	}
	if len(calls) == 1 {
		calls[0].settle(batchedAnswer{alone: true})
		return
	}
	var split bool
	err := protect(func() { split = !b.sendTogether(calls) }) // the application's RoundTripper may panic
	if split {
		half := len(calls) / 2
		go b.send(calls[:half])
		b.send(calls[half:])
		return
	}
	failAll(calls, err)
}

// failAll settles the calls that have no answer yet.
func failAll(calls []*batchedCall, err error) {
	for _, c := range calls {
		c.settle(batchedAnswer{err: err})
	}
}

// sendTogether sends a batch and settles its calls. It reports false, having sent
// nothing, if the address would be too long.
func (b *batcher) sendTogether(calls []*batchedCall) bool {
	ctx, cancel := sharedContext(calls)
	defer cancel()
	r, err := b.request(ctx, calls)
	switch {
	case err != nil:
		failAll(calls, err)
	case r == nil:
		return false
	default:
		failAll(calls, b.roundTrip(r, calls))
	}
	return true
}

// sharedContext has the values of the first call, and ends when all calls have.
func sharedContext(calls []*batchedCall) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(calls[0].ctx))
	var mu sync.Mutex // guards open
	open := len(calls)
	stops := make([]func() bool, len(calls))
	for i, c := range calls {
		stops[i] = context.AfterFunc(c.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if open--; open == 0 {
				cancel(context.Cause(c.ctx))
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}

// request makes the request of a batch. It is nil if its address would be too long.
func (b *batcher) request(ctx context.Context, calls []*batchedCall) (*http.Request, error) {
	first := calls[0].request
	method := http.MethodPost
	if first.Method == http.MethodGet {
		method = http.MethodGet
	}
	header := commonHeader(calls)
	items := make([]batch.Request, len(calls))
	for i, c := range calls {
		items[i] = batch.Request{Method: c.request.Method, URL: c.request.URL, Header: ownHeader(c.request.Header, header), Body: c.body}
	}
	list := batch.AppendRequests(nil, method, items)
	address := first.URL.Scheme + "://" + first.URL.Host + first.URL.EscapedPath() + batchPath + b.link.query
	if method == http.MethodGet {
		if address = withParameter(address, batch.QueryName, list); len(address) > b.link.maxURL {
			return nil, nil //nolint:nilnil // see above
		}
		list = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(list))
	if err != nil {
		return nil, err
	}
	r.URL.User = first.URL.User
	r.Header = header
	r.Header.Set(batch.Header, batch.Streaming)
	if b.plugin.Buffered {
		r.Header.Set(batch.Header, batch.Buffered)
	}
	if method == http.MethodPost {
		r.Header.Set(headerContentType, "application/json")
	}
	return r, nil
}

// withParameter adds a parameter to the query of an address.
func withParameter(address, name string, value []byte) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(string(value))
}

// commonHeader returns the headers that all calls have with the same values.
func commonHeader(calls []*batchedCall) http.Header {
	header := http.Header{}
	for name, values := range calls[0].request.Header {
		if name == headerContentType || slices.ContainsFunc(calls, func(c *batchedCall) bool {
			return !slices.Equal(c.request.Header[name], values)
		}) {
			continue
		}
		header[name] = values
	}
	return header
}

// ownHeader returns the headers of a call that the batch does not have.
func ownHeader(header, common http.Header) http.Header {
	own := http.Header{}
	for name, values := range header {
		if _, shared := common[name]; !shared && name != headerContentType {
			own[name] = values
		}
	}
	return own
}

// roundTrip sends a batch and settles the calls that are answered. The error is that
// of all others.
func (b *batcher) roundTrip(r *http.Request, calls []*batchedCall) error {
	response, err := b.link.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body := http.MaxBytesReader(nil, response.Body, b.link.maxBody)
	switch {
	case isErrorStatus(response.StatusCode):
		return refusedBatch(response, body, calls)
	case peer.IsEventStream(response.Header):
		err = readBatchStream(response, sse.NewReader(body, b.link.maxBody), calls)
	case isJSONBody(response.Header):
		err = readBatchList(response, body, calls)
	default:
		err = fmt.Errorf("answer to the batch has a body of type %q, which cannot be read", response.Header.Get(headerContentType))
	}
	if err == nil {
		err = errBatchIncomplete
	}
	return err
}

// refusedBatch answers each call as the batch was.
func refusedBatch(response *http.Response, body io.Reader, calls []*batchedCall) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	for _, c := range calls {
		own := *response
		own.Header = response.Header.Clone()
		own.Body, own.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		c.settle(batchedAnswer{response: &own})
	}
	return nil
}
