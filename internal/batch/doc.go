// Package batch is the codec of oRPC's batch requests: many requests in the body
// or the query of one, and many responses in its body. It knows neither procedures
// nor connections.
//
// A request that carries others has the header [Header], whose value is the mode
// that the client wants its responses in. The requests are a JSON list, the body
// of a POST or the query parameter [QueryName] of a GET. The responses are events
// of an event stream, or a JSON list, in the order in which they got ready.
package batch

// Header is the header of a request that carries others.
const Header = "X-Orpc-Batch"

// QueryName is the query parameter of a GET request that carries others.
const QueryName = "batch"

// Values of [Header]. A server reads any other value as Streaming.
const (
	Streaming = "streaming" // each response is sent as soon as it is ready
	Buffered  = "buffered"  // all responses are sent as one JSON list
)

// Status is the status of an answer that carries responses. A response without a
// status of its own has this one.
const Status = 207
