package rpc

import (
	"cmp"
	"fmt"
	"net/http"
)

// defaultBatchSize is how many requests a batch may have: oRPC's default.
const defaultBatchSize = 10

// BatchPlugin makes a [Handler] answer batches: requests of a TypeScript
// BatchLinkPlugin or a [BatchLinkPlugin] that carry several calls. It is oRPC's
// BatchHandlerPlugin. The zero BatchPlugin is usable. It has no effect on a
// websocket.Handler, whose connections carry any number of calls anyway.
//
// A batch is recognized by the header x-orpc-batch, at any path under
// [HandlerOptions.Prefix]. It is a POST whose body lists the calls, or a GET whose
// query does. Each call in it is served as a request of its own: it passes the same
// checks and interceptors, has a path under the prefix, and is answered with a status
// and headers of its own, that of a durable iterator included. These rules hold:
//
//   - The body limit is that of one request, [HandlerOptions.MaxBodyBytes], for the
//     whole batch. All calls share the context of the request, and so its deadline.
//   - A call has the headers of the batch and its own, which win. Headers that no
//     page may set, as Cookie, Origin and Sec-Fetch-Site, and those in which proxies
//     name the client, as X-Forwarded-For, are those of the batch alone.
//   - The host of a call's address is ignored.
//   - A call in a GET batch that asks for another method is refused with
//     [CodeMethodNotSupported]. A call that is itself a batch is refused with
//     [CodeBadRequest].
//   - An output with files and a stream of events do not fit into a batch. The call
//     is answered with status 500 and oRPC's text for it, a stream without having
//     run its handler.
//
// Calls run at the same time, and an answer is sent as soon as it is ready, unless the
// client asks for all answers at once. A batch with too many calls is refused with
// status 413, one that cannot be read with 400; then no call runs. The answer is not
// to be stored by caches.
type BatchPlugin struct {
	// MaxSize is how many calls a batch may have. 0 is 10.
	MaxSize int
	// ReservedHeaders are names of further headers that a call cannot set by itself:
	// those that a proxy adds to requests and the application trusts.
	ReservedHeaders []string
}

// InitHandler implements [HandlerPlugin]. It panics on a negative MaxSize.
func (p *BatchPlugin) InitHandler(o *HandlerOptions) {
	if p.MaxSize < 0 {
		panic(fmt.Sprintf("rpc: BatchPlugin: MaxSize %d is negative", p.MaxSize))
	}
	b := &batchOptions{maxSize: cmp.Or(p.MaxSize, defaultBatchSize), reserved: make(map[string]bool)}
	for _, name := range p.ReservedHeaders {
		b.reserved[http.CanonicalHeaderKey(name)] = true
	}
	o.batch = b
}

// batchOptions is a BatchPlugin with its defaults.
type batchOptions struct {
	maxSize  int
	reserved map[string]bool // by canonical name
}
