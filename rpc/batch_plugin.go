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

// BatchPlugin makes a [Handler] serve batches: requests with several calls, as sent by the
// TypeScript BatchLinkPlugin or a [BatchLinkPlugin]. It is oRPC's BatchHandlerPlugin. The zero
// BatchPlugin is usable. It has no effect on a websocket.Handler, whose connections can have any
// number of calls anyway.
//
// A batch is recognized by the header x-orpc-batch, at any path below [HandlerOptions.Prefix]. It
// is a POST with the calls in its body, or a GET with the calls in its query. Each call is served
// like a separate request: the same checks and interceptors apply, its path is below the prefix,
// and its answer has its own status and headers, including that of a durable iterator. These
// rules apply:
//
//   - The limit of the body, [HandlerOptions.MaxBodyBytes], is for the whole batch. All calls
//     share the context of the request, and so its deadline.
//   - A call has the headers of the batch and its own, which take precedence. Headers that pages
//     cannot set, such as Cookie, Origin and Sec-Fetch-Site, and those in which proxies name the
//     client, such as X-Forwarded-For, are always those of the batch.
//   - The host of a call's address is ignored.
//   - A call in a GET batch with another method is refused with [CodeMethodNotSupported]. A call
//     that is itself a batch is refused with [CodeBadRequest].
//   - Outputs with files and streams of events are not supported. The call is answered with
//     status 500 and oRPC's message for this case; the handler of a stream is not run.
//
// Calls run concurrently. Each answer is sent as soon as it is ready, unless the client requests
// all answers at once. A batch with too many calls is refused with status 413, a malformed one
// with 400; then no call runs. The response forbids caches to store it.
type BatchPlugin struct {
	// MaxSize is the maximum number of calls in a batch. 0 means 10.
	MaxSize int
	// ReservedHeaders lists further headers that a call cannot set: those that a proxy adds
	// to requests and that the application trusts.
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
	o.batch = func(l *Link) batchSender { return newBatcher(&own, l) }
}

// reservedHeaders are the headers of a batch that its calls cannot replace: those that the Fetch
// standard forbids pages to set, so that servers can rely on them; those of the connection; and
// those in which proxies name the client.
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

// reservedPrefixes are prefixes of the names of further such headers.
var reservedPrefixes = []string{"Access-Control-", "Proxy-", "Sec-", "X-Forwarded-"}

// isReserved reports whether a header, by its canonical name, can only be set by the batch.
func isReserved(name string) bool {
	return slices.Contains(reservedHeaders, name) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// itemHeader returns the headers of a call in a batch: those of the batch, replaced by the call's
// own headers where it may set them.
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

// reservedPart returns a string with the reserved headers of a call. Calls for which it differs
// cannot be in the same batch.
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
