// Package batch is the codec of oRPC's batch requests: many requests in the body or the
// query of one request, and many responses in the body of its response. It knows neither
// procedures nor connections.
//
// A batch request has the header [Header], whose value is the mode in which the client
// wants its responses. The requests are a JSON list, in the body of a POST or in the query
// parameter [QueryName] of a GET. The responses are events of an event stream, or a JSON
// list, in the order in which they became ready.
package batch

// Header is the header of a batch request.
const Header = "X-Orpc-Batch"

// QueryName is the query parameter of a batch request with the method GET.
const QueryName = "batch"

// Values of [Header]. A server reads any other value as Streaming.
const (
	Streaming = "streaming" // each response is sent as soon as it is ready
	Buffered  = "buffered"  // all responses are sent as one JSON list
)

// Status is the HTTP status of the response to a batch, and of each of its responses that
// has no status.
const Status = 207
