// Package rpc serves and calls typed procedures over HTTP, with the wire format of oRPC v1.
// Unmodified TypeScript clients can call a Go server, and Go clients a TypeScript server. Package
// websocket does the same over WebSockets, and package transport over sockets of any kind.
//
// A procedure begins with its contract, a value that server and client share:
//
//	type Greeting struct {
//		Name string `json:"name" validate:"required"`
//	}
//
//	var Greet = rpc.Define[Greeting, string]("greet")
//
// The server adds a handler and serves it:
//
//	router := rpc.NewRouter(
//		Greet.Handler(func(ctx context.Context, in Greeting) (string, error) {
//			return "Hello, " + in.Name, nil
//		}),
//	)
//	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{Prefix: "/rpc"}))
//
// The client calls it with a [Caller], such as a [Link]:
//
//	link := rpc.NewLink("http://localhost:3000/rpc", nil)
//	text, err := Greet.Call(ctx, link, Greeting{Name: "Ada"})
//
// Inputs and outputs may have the types that encoding/json supports, and types of values that
// JSON lacks: dates, big integers, URLs, sets, maps, undefined, files, and types of the
// application. Package [value] has those that Go lacks. Inputs are validated by their validate
// tags, see [Validator].
//
// # Streams of events
//
// The output of a procedure can be a stream of events, oRPC's Event Iterator:
//
//	var Search = rpc.DefineEvents[Query, Hit, Summary]("search")
//
// Its handler sends events with an [EventWriter] and returns the result of the stream.
// [EventProcedure.Call] returns an [Events] to range over. When one side stops, the stream also
// ends on the other side. If the call has a [Retry] and the handler uses the [Call.LastEventID]
// of [CallOf], the stream resumes after the last event that was read. Its memory is limited, even
// if the reader is slow.
//
// The input can be a stream too, alone or together with the output. Its type is then [*Events],
// which the handler ranges over and the client creates with [NewEvents].
//
// An http.Client with a Timeout ends streams that last longer. So does an http.Server with a
// WriteTimeout if [HandlerOptions.StallTimeout] is negative or middleware hides the deadlines of
// the ResponseWriter.
//
// # Batches
//
// With a [BatchPlugin], a [Handler] also serves requests with several calls, which TypeScript
// clients with a BatchLinkPlugin send, and a [Link] with a [BatchLinkPlugin].
//
// # Files
//
// A [*value.File] may be anywhere in an input or an output. Its content is in memory, see
// [value.NewFile], or is opened when it is sent, see [value.NewFileFunc]:
//
//	type Photo struct {
//		Title string      `json:"title"`
//		Image *value.File `json:"image" validate:"required"`
//	}
//
// Files count towards the limits of bodies and messages, MaxBodyBytes and MaxMessageBytes of the
// options. A body or message may have up to 999 files.
//
// # Errors
//
// An [*Error] that a handler returns is sent to its caller. For any other error, and for a panic,
// the caller receives [CodeInternalServerError] with a fixed message. The error itself is not
// sent; [OnError] and the Logger of the options receive it. [DefineError] declares an error with
// typed data.
//
// A client returns an *Error for an error that the server has sent, and other errors for other
// failures; if the context ended, these wrap context.Canceled or context.DeadlineExceeded. A call
// is repeated after an error only with [WithRetry] or [Retry].
//
// # Concurrency
//
// Contracts, routers, handlers and links are immutable and safe for concurrent use; options are
// copied. Handlers of procedures run concurrently. A [Call] must not be used concurrently.
//
// # Order of interceptors and plugins
//
// The first of several interceptors is the outermost. On a server, the interceptors of the
// options run first, around the decoding of the input, then those of the procedure:
//
//	HandlerOptions.Interceptors   Call.Input is a Value
//	  decoding and validation of the input
//	    Procedure.Handler's       Call.Input has the procedure's type
//	      the handler, validation of the output
//	encoding of the output or error
//
// On a client, the interceptors of the options run once around a call and all of its retries.
//
// For a call with a stream of events, interceptors return when the stream is open. Its output is
// then an *Events on a client, and has an opaque type on a server.
//
// Plugins change a copy of the options, one after the other, before it is used. Interceptors that
// they append run inside those of the application.
package rpc
