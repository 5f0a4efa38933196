package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/batch"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

// defaultBatchWindow is how long a call waits for others to share its request.
const defaultBatchWindow = time.Millisecond

// BatchLinkPlugin makes a [Link] send calls that are made at about the same time in one request,
// a batch. It is oRPC's BatchLinkPlugin. The server needs a [BatchPlugin] or oRPC's
// BatchHandlerPlugin. The zero BatchLinkPlugin is usable. Several links may use the same plugin;
// they do not share batches.
//
// A batch has either calls with GET or calls with other methods, and is itself a GET or a POST. A
// GET whose address would be longer than [LinkOptions.MaxURLLength] is sent as several batches.
// Headers that all calls have in common are sent as headers of the batch. A single call is sent as
// if there were no plugin; so are calls with files, calls whose input or output is a stream of
// events, and those that Exclude selects. A procedure whose output has files must be excluded,
// because servers cannot answer it in a batch.
//
// Each call ends with its own context; the request ends with the last of its calls. It has the
// values of the first call's context. If the response to the whole batch is an error, for example
// because the server does not have the plugin, it is the response to each call.
// [LinkOptions.MaxBodyBytes] is for all answers of a batch together.
type BatchLinkPlugin struct {
	// MaxSize is the maximum number of calls in a batch; more calls are sent in several
	// batches. 0 means 10, which is also the default of servers.
	MaxSize int
	// Window is how long the first call of a batch waits for others. A full batch is sent
	// at once. 0 means 1 ms.
	Window time.Duration
	// Buffered requests all answers at once, for servers and proxies that cannot stream
	// them. By default each answer is sent as soon as it is ready.
	Buffered bool
	// Exclude reports whether a call must be sent by itself. Nil excludes none.
	Exclude func(call *Call) bool
	// Group returns the name of a call's group; only calls of the same group are sent
	// together. Nil means that all calls are in one group.
	Group func(call *Call) string
}

// InitLink implements [LinkPlugin]. It panics on a negative MaxSize or Window.
func (p *BatchLinkPlugin) InitLink(o *LinkOptions) {
	var list faults.List
	faults.Negative(&list, "MaxSize", p.MaxSize)
	faults.Negative(&list, "Window", p.Window)
	list.Panic("rpc: BatchLinkPlugin")
	own := *p
	own.MaxSize = cmp.Or(own.MaxSize, defaultBatchSize)
	own.Window = cmp.Or(own.Window, defaultBatchWindow)
	o.batch = func(l *Link) batchSender {
		return &batcher{plugin: &own, link: l, waiting: make(map[batchKey]*batchQueue)}
	}
}

// batcher collects the calls of a link into batches.
type batcher struct {
	plugin *BatchLinkPlugin
	link   *Link

	mu      sync.Mutex // guards waiting
	waiting map[batchKey]*batchQueue
}

// batchKey has the properties that all calls of a batch share.
type batchKey struct {
	group    string
	get      bool
	reserved string // the headers that a call of a batch cannot set
}

// batchQueue has the calls that wait for others. It is not empty.
type batchQueue struct {
	calls []*batchedCall
	timer *time.Timer
}

// batchedCall is a call that is sent in a batch.
type batchedCall struct {
	ctx      context.Context
	request  *http.Request
	body     []byte
	answered chan batchedAnswer // has capacity for the only answer
}

type batchedAnswer struct {
	response *http.Response
	err      error
	alone    bool // the caller must send the request itself
}

// settle answers the call. Only the first answer has an effect.
func (c *batchedCall) settle(a batchedAnswer) {
	select {
	case c.answered <- a:
	default:
	}
}

// takes reports whether a call may be sent in a batch.
func (b *batcher) takes(call *Call, r *http.Request) bool {
	if r.ContentLength < 0 || isFormBody(r.Header) || b.plugin.Exclude != nil && b.plugin.Exclude(call) {
		return false
	}
	_, _, stream := wantedStream(call)
	return !stream
}

// do sends the request of a call, with its body, and returns the response.
func (b *batcher) do(ctx context.Context, call *Call, r *http.Request, body []byte) (*http.Response, error) {
	c := &batchedCall{ctx: ctx, request: r, body: body, answered: make(chan batchedAnswer, 1)}
	key := batchKey{get: r.Method == http.MethodGet, reserved: reservedPart(r.Header)}
	if b.plugin.Group != nil {
		key.group = b.plugin.Group(call)
	}
	b.add(key, c)
	select {
	case a := <-c.answered:
		if a.alone {
			return b.link.client.Do(r)
		}
		return a.response, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// add adds a call to the queue, which is sent when it is full or when the window of its first
// call has passed.
func (b *batcher) add(key batchKey, c *batchedCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.waiting[key]
	if q == nil {
		q = &batchQueue{}
		b.waiting[key] = q
		q.timer = time.AfterFunc(b.plugin.Window, func() { b.expire(key, q) })
	}
	q.calls = append(q.calls, c)
	if len(q.calls) >= b.plugin.MaxSize && q.timer.Stop() {
		delete(b.waiting, key)
		go b.send(q.calls)
	}
}

// expire sends the queue when its window has passed.
func (b *batcher) expire(key batchKey, q *batchQueue) {
	b.mu.Lock()
	delete(b.waiting, key)
	calls := q.calls
	b.mu.Unlock()
	for len(calls) > b.plugin.MaxSize { // it became full at the same time
		go b.send(calls[:b.plugin.MaxSize])
		calls = calls[b.plugin.MaxSize:]
	}
	b.send(calls)
}

// batchPath is appended to the address of a batch's first call.
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
	err := b.sendTogether(calls)
	if errors.Is(err, errLongBatch) {
		half := len(calls) / 2
		go b.send(calls[:half])
		b.send(calls[half:])
		return
	}
	for _, c := range calls {
		c.settle(batchedAnswer{err: err})
	}
}

// errLongBatch means that a batch was not sent because its address would be too long.
var errLongBatch = errors.New("the address of the batch is too long")

// sendTogether sends a batch and settles the calls that are answered. The error is for all other
// calls. The application's RoundTripper may panic.
func (b *batcher) sendTogether(calls []*batchedCall) (err error) {
	defer bridge.RecoverTo(&err)
	ctx, cancel := sharedContext(calls)
	defer cancel()
	r, err := b.request(ctx, calls)
	if err != nil {
		return err
	}
	return b.roundTrip(r, calls)
}

// sharedContext returns a context with the values of the first call's context that ends when the
// contexts of all calls have ended.
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

// request returns the request of a batch.
func (b *batcher) request(ctx context.Context, calls []*batchedCall) (*http.Request, error) {
	first := calls[0].request
	method := http.MethodPost
	if first.Method == http.MethodGet {
		method = http.MethodGet
	}
	headers := make([]http.Header, len(calls))
	for i, c := range calls {
		headers[i] = c.request.Header
	}
	header := commonHeader(headers)
	items := make([]batch.Request, len(calls))
	for i, c := range calls {
		items[i] = batch.Request{Method: c.request.Method, URL: c.request.URL, Header: ownHeader(c.request.Header, header), Body: c.body}
	}
	list := batch.AppendRequests(nil, method, items)
	address := first.URL.Scheme + "://" + first.URL.Host + first.URL.EscapedPath() + batchPath + b.link.query
	if method == http.MethodGet {
		if address = withParameter(address, batch.QueryName, list); len(address) > b.link.maxURL {
			return nil, errLongBatch
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

// roundTrip sends a request and settles the calls that are answered.
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

// refusedBatch settles each call with the response to the batch, which was refused.
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

// readBatchStream settles calls with answers of a stream, as they arrive.
func readBatchStream(whole *http.Response, stream *sse.Reader, calls []*batchedCall) error {
	for {
		m, err := stream.Next()
		if err == io.EOF { //nolint:errorlint // the error of a lost connection may wrap it
			return nil
		}
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		kind, ok := m.Kind()
		switch {
		case !ok:
			continue
		case kind != peer.EventMessage:
			return nil
		}
		if err := settleItem(whole, m.Data, calls); err != nil {
			return err
		}
	}
}

// readBatchList settles calls with the answers of a list.
func readBatchList(whole *http.Response, body io.Reader, calls []*batchedCall) error {
	list := json.NewDecoder(jsontext.SkipByteOrderMark(body))
	if token, err := list.Token(); err != nil || token != json.Delim('[') {
		return fmt.Errorf("read answer: %w", errors.Join(errNoBatch, err))
	}
	for list.More() {
		var item json.RawMessage
		if err := list.Decode(&item); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if err := settleItem(whole, item, calls); err != nil {
			return err
		}
	}
	return nil
}

var errNoBatch = errors.New("it is not an answer to a batch")

// settleItem settles a call with its answer, in the form of an HTTP response.
func settleItem(whole *http.Response, text []byte, calls []*batchedCall) error {
	item, err := batch.ParseResponse(text)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if item.Index < 0 || item.Index >= len(calls) {
		return fmt.Errorf("read answer: %w", errNoBatch)
	}
	if item.Status == 0 {
		item.Status = whole.StatusCode
	}
	body := []byte(item.Body)
	item.Header.Del(headerDisposition)
	item.Header.Set(headerContentType, "application/json")
	if bare, ok := plainText(peer.Body{JSON: item.Body}); ok && isErrorStatus(item.Status) {
		body = []byte(bare)
		item.Header.Set(headerContentType, "text/plain")
	}
	calls[item.Index].settle(batchedAnswer{response: &http.Response{
		StatusCode: item.Status, Header: item.Header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		Request: calls[item.Index].request,
	}})
	return nil
}
