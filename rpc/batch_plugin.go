package rpc

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/faults"
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
// query does. Each call in it is served as a separate request: it passes the same
// checks and interceptors, has a path under the prefix, and is answered with a status
// and headers of its own, that of a durable iterator included. These rules hold:
//
//   - The body limit is that of one request, [HandlerOptions.MaxBodyBytes], for the
//     whole batch. All calls share the context of the request, and so its deadline.
//   - A call has the headers of the batch and its own, which win. Headers that no
//     page may set, as Cookie, Origin and Sec-Fetch-Site, and those in which proxies
//     name the client, as X-Forwarded-For, are those of the batch alone.
//   - The host of a call's address is ignored.
//   - A call in a GET batch that has another method is refused with
//     [CodeMethodNotSupported]. A call that is itself a batch is refused with
//     [CodeBadRequest].
//   - An output with files and a stream of events do not fit into a batch. The call
//     is answered with status 500 and oRPC's text for it, a stream without having
//     run its handler.
//
// Calls run at the same time, and an answer is sent as soon as it is ready, unless the
// client requests all answers at once. A batch with too many calls is refused with
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
	var list faults.List
	faults.Negative(&list, "MaxSize", p.MaxSize)
	list.Panic("rpc: BatchPlugin")
	b := batchServer{maxSize: cmp.Or(p.MaxSize, defaultBatchSize), reserved: make(map[string]bool)}
	for _, name := range p.ReservedHeaders {
		b.reserved[http.CanonicalHeaderKey(name)] = true
	}
	o.batch = func(h *Handler) batchHandler {
		own := b
		own.handler = h
		return &own
	}
}

// defaultBatchWindow is how long a call waits for others to share its request.
const defaultBatchWindow = time.Millisecond

// BatchLinkPlugin makes a [Link] send calls that are made at about the same time as
// one request, a batch: oRPC's BatchLinkPlugin. The server needs a [BatchPlugin] or
// oRPC's BatchHandlerPlugin. The zero BatchLinkPlugin is usable. One can serve
// several links, which do not share batches.
//
// A batch holds calls with GET, or calls with any other method, and is itself a GET or
// a POST. A GET whose address would be longer than [LinkOptions.MaxURLLength] is sent
// as several. Headers that all calls have in common are those of the batch. A call
// without company is sent as if there were no plugin; so are calls with files, calls
// whose input or output is a stream of events, and those that Exclude names. A
// procedure whose output has files must be excluded, as servers cannot answer it in
// a batch.
//
// Each call ends with its own context; the request ends with its last call.
// It has the values of the first call's context. An answer to the whole batch that is
// an error, as that of a server without the plugin, is the answer to each call.
// [LinkOptions.MaxBodyBytes] is for the answers of a batch together.
type BatchLinkPlugin struct {
	// MaxSize is how many calls a batch may have; more are sent as several batches.
	// 0 is 10, which is also what servers accept by default.
	MaxSize int
	// Window is how long the first call of a batch waits for others. A full batch
	// waits no longer. 0 is 1 ms.
	Window time.Duration
	// Buffered requests all answers at once, for servers and proxies that cannot
	// stream them. By default each is sent as soon as it is ready.
	Buffered bool
	// Exclude reports whether a call is sent by itself. Nil excludes none.
	Exclude func(call *Call) bool
	// Group returns the name of the calls that a call may be sent with. Nil puts all
	// calls into one group.
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
	o.batch = func(l *Link) batchSender { return newBatcher(&own, l) }
}

// reservedHeaders are the headers of a batch that its calls cannot replace: those
// that the Fetch standard keeps from pages, so that they can be trusted to show where
// a request comes from; those that belong to the connection; and those in which
// proxies name the client.
var reservedHeaders = []string{
	"Accept-Charset",
	"Accept-Encoding",
	"Cf-Connecting-Ip",
	"Connection",
	"Content-Disposition",
	"Content-Encoding",
	"Content-Length",
	"Content-Type",
	"Cookie",
	"Cookie2",
	"Date",
	"Dnt",
	"Expect",
	"Fly-Client-Ip",
	"Forwarded",
	"Host",
	"Keep-Alive",
	"Origin",
	"Referer",
	"Set-Cookie",
	"Te",
	"Trailer",
	"Transfer-Encoding",
	"True-Client-Ip",
	"Upgrade",
	"Via",
	"X-Client-Ip",
	"X-Cluster-Client-Ip",
	"X-Http-Method",
	"X-Http-Method-Override",
	"X-Method-Override",
	"X-Original-Url",
	"X-Real-Ip",
	"X-Rewrite-Url",
}

// reservedPrefixes begin the names of further such headers.
var reservedPrefixes = []string{"Access-Control-", "Proxy-", "Sec-", "X-Forwarded-"}

// isReserved reports whether a header with a canonical name is that of the batch.
func isReserved(name string) bool {
	return slices.Contains(reservedHeaders, name) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// itemHeader returns the headers of a call in a batch: those of the batch, which the
// call's own replace where it may set them.
func (b *batchServer) itemHeader(ofBatch, own http.Header) http.Header {
	header := ofBatch.Clone()
	for _, name := range []string{headerContentType, headerDisposition, "Content-Encoding", "Content-Length", headerBatch} {
		header.Del(name)
	}
	for name, values := range own {
		if !b.reserved[name] && !isReserved(name) {
			header[name] = values
		}
	}
	return header
}

// reservedPart describes the reserved headers of a call. Calls that differ in it
// cannot share a batch.
func reservedPart(header http.Header) string {
	var part []string
	for name, values := range header {
		if name != headerContentType && isReserved(name) {
			part = append(part, name+": "+strings.Join(values, "\n"))
		}
	}
	slices.Sort(part)
	return strings.Join(part, "\r\n")
}
