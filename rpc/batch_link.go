package rpc

import (
	"cmp"
	"fmt"
	"time"
)

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
// procedure whose output has files has to be excluded, as servers cannot answer it in
// a batch.
//
// Each call ends with its own context; the request ends when all of its calls have.
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
	// Buffered asks for all answers at once, for servers and proxies that cannot
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
	if p.MaxSize < 0 || p.Window < 0 {
		panic(fmt.Sprintf("rpc: BatchLinkPlugin: MaxSize %d, Window %v", p.MaxSize, p.Window))
	}
	own := *p
	own.MaxSize = cmp.Or(own.MaxSize, defaultBatchSize)
	own.Window = cmp.Or(own.Window, defaultBatchWindow)
	o.batch = &own
}
