package rpc

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// batcher collects the calls of a link into batches.
type batcher struct {
	plugin *BatchLinkPlugin
	link   *Link

	mu      sync.Mutex // guards waiting
	waiting map[batchKey]*batchQueue
}

// batchKey is what the calls of a batch have in common.
type batchKey struct {
	group    string
	get      bool
	reserved string // their headers that are not for a call to set
}

// batchQueue is calls that wait for company. It is not empty.
type batchQueue struct {
	calls []*batchedCall
	timer *time.Timer
}

// batchedCall is the request of a call on its way through a batch.
type batchedCall struct {
	ctx      context.Context
	request  *http.Request
	body     []byte
	answered chan batchedAnswer // has room for the answer, the only one
}

type batchedAnswer struct {
	response *http.Response
	err      error
	alone    bool // instead: the caller has to send the request
}

// settle answers the call. Only the first answer counts.
func (c *batchedCall) settle(a batchedAnswer) {
	select {
	case c.answered <- a:
	default:
	}
}

func newBatcher(p *BatchLinkPlugin, l *Link) *batcher {
	if p == nil {
		return nil
	}
	return &batcher{plugin: p, link: l, waiting: make(map[batchKey]*batchQueue)}
}

// takes reports whether a call may be sent in a batch.
func (b *batcher) takes(call *Call, r *http.Request) bool {
	if b == nil || r.ContentLength < 0 || isFormBody(r.Header) || b.plugin.Exclude != nil && b.plugin.Exclude(call) {
		return false
	}
	_, _, stream := wantedStream(call)
	return !stream
}

// do sends the request of a call, whose body is given, and returns the answer to it.
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

// add puts a call into the queue, which is sent when it is full, or when the window
// of its first call has passed.
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

// expire sends what has waited for long enough.
func (b *batcher) expire(key batchKey, q *batchQueue) {
	b.mu.Lock()
	delete(b.waiting, key)
	calls := q.calls
	b.mu.Unlock()
	for len(calls) > b.plugin.MaxSize { // it was full when its window passed
		go b.send(calls[:b.plugin.MaxSize])
		calls = calls[b.plugin.MaxSize:]
	}
	b.send(calls)
}
