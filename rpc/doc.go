// Package rpc calls typed procedures over HTTP on the wire of oRPC v1: an unmodified
// TypeScript client calls a Go server, and a Go client a TypeScript server. Package
// websocket does so over WebSockets, and package transport over sockets of any kind.
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
// The client calls it on a [Caller], which leads to the server:
//
//	link := rpc.NewLink("http://localhost:3000/rpc", nil)
//	text, err := Greet.Call(ctx, link, Greeting{Name: "Ada"})
//
// Inputs and outputs are the Go types that encoding/json supports, and what JSON lacks: dates,
// big integers, URLs, sets, maps, undefined, files, and types of the application. Package
// [value] has those that Go lacks. Inputs are checked by their validate tags, see [Validator].
//
// # Streams of events
//
// The output of a procedure can be a stream of events, oRPC's Event Iterator:
//
//	var Search = rpc.DefineEvents[Query, Hit, Summary]("search")
//
// Its handler sends them with an [EventWriter] and returns the result of the stream;
// [EventProcedure.Call] returns an [Events] to range over. A stream ends on both sides
// when either stops. It resumes after the last event that was read if the call has a
// [Retry] and the handler observes the [Call.LastEventID] of [CallOf]. Its memory is
// bounded, however slow the reader is.
//
// The input can be a stream too, alone or together with the output: then the input type
// is a [*Events], which the handler ranges over and the client makes with [NewEvents].
//
// An http.Client with a Timeout cuts off streams that last longer, and so does an
// http.Server with a WriteTimeout if [HandlerOptions.StallTimeout] is negative or
// middleware hides the deadlines of the ResponseWriter.
//
// # Batches
//
// With a [BatchPlugin] a [Handler] also answers requests that carry several calls, as a
// TypeScript client with a BatchLinkPlugin sends them, and a [Link] with a
// [BatchLinkPlugin].
//
// # Files
//
// A [*value.File] may stand anywhere in an input or an output. It has its content in
// memory, see [value.NewFile], or opens it when it is sent, see [value.NewFileFunc]:
//
//	type Photo struct {
//		Title string      `json:"title"`
//		Image *value.File `json:"image" validate:"required"`
//	}
//
// Files count for the limits of bodies and messages, MaxBodyBytes and
// MaxMessageBytes of the options, and one body or message has room for 999 of them.
//
// # Errors
//
// An [*Error] that a handler returns is sent to its caller. Any other error, and a panic,
// reaches the caller as [CodeInternalServerError] with a fixed message: nothing of it leaves
// the server, where [OnError] and the Logger of the options receive it. [DefineError]
// declares an error with typed data.
//
// A client returns an *Error for an error that the server has sent, and other errors for
// failures on the way; errors.Is finds context.Canceled and context.DeadlineExceeded in the
// latter if the context ended. A call is repeated after an
// error only with [WithRetry] or [Retry].
//
// # Concurrency
//
// Contracts, routers, handlers and links are safe for concurrent use and do not
// change after they were made; options are copied. Handlers of procedures run
// concurrently. A [Call] belongs to one goroutine at a time.
//
// # Order of interceptors and plugins
//
// Of several interceptors the first is outermost. On a server the interceptors of
// the options run first, around the decoding of the input, then those of the
// procedure:
//
//	HandlerOptions.Interceptors   Call.Input is a Value
//	  decoding and validation of the input
//	    Procedure.Handler's       Call.Input has the procedure's type
//	      the handler, validation of the output
//	encoding of the output or error
//
// On a client the interceptors of the options run around a call and all its
// retries, so they see one call however many requests it takes.
//
// Around a call with a stream of events they run until it is open: the output is
// then an *Events on a client, and opaque on a server.
//
// Plugins change a copy of the options, one after the other, before anything is
// made of it. The interceptors that they append run inside of those of the application.
package rpc
