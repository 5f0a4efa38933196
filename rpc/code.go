package rpc

// Code identifies the kind of an [Error]. Any non-empty string may be a code. oRPC's common codes
// have a default status and message.
type Code string

// oRPC's common codes.
const (
	CodeBadRequest           Code = "BAD_REQUEST"            // 400
	CodeUnauthorized         Code = "UNAUTHORIZED"           // 401
	CodeForbidden            Code = "FORBIDDEN"              // 403
	CodeNotFound             Code = "NOT_FOUND"              // 404
	CodeMethodNotSupported   Code = "METHOD_NOT_SUPPORTED"   // 405
	CodeNotAcceptable        Code = "NOT_ACCEPTABLE"         // 406
	CodeTimeout              Code = "TIMEOUT"                // 408
	CodeConflict             Code = "CONFLICT"               // 409
	CodePreconditionFailed   Code = "PRECONDITION_FAILED"    // 412
	CodePayloadTooLarge      Code = "PAYLOAD_TOO_LARGE"      // 413
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE" // 415
	CodeUnprocessableContent Code = "UNPROCESSABLE_CONTENT"  // 422
	CodeTooManyRequests      Code = "TOO_MANY_REQUESTS"      // 429
	CodeClientClosedRequest  Code = "CLIENT_CLOSED_REQUEST"  // 499
	CodeInternalServerError  Code = "INTERNAL_SERVER_ERROR"  // 500
	CodeNotImplemented       Code = "NOT_IMPLEMENTED"        // 501
	CodeBadGateway           Code = "BAD_GATEWAY"            // 502
	CodeServiceUnavailable   Code = "SERVICE_UNAVAILABLE"    // 503
	CodeGatewayTimeout       Code = "GATEWAY_TIMEOUT"        // 504

	// CodeMalformedErrorResponse is the code that a client uses for an error response whose
	// body is not an RPC error and whose status has no common code.
	CodeMalformedErrorResponse Code = "MALFORMED_ORPC_ERROR_RESPONSE"
)

type commonCode struct {
	code    Code
	status  int
	message string
}

// commonCodes is sorted by status. If several have a status, codeOfStatus returns the first.
var commonCodes = []commonCode{
	{CodeBadRequest, 400, "Bad Request"},
	{CodeUnauthorized, 401, "Unauthorized"},
	{CodeForbidden, 403, "Forbidden"},
	{CodeNotFound, 404, "Not Found"},
	{CodeMethodNotSupported, 405, "Method Not Supported"},
	{CodeNotAcceptable, 406, "Not Acceptable"},
	{CodeTimeout, 408, "Request Timeout"},
	{CodeConflict, 409, "Conflict"},
	{CodePreconditionFailed, 412, "Precondition Failed"},
	{CodePayloadTooLarge, 413, "Payload Too Large"},
	{CodeUnsupportedMediaType, 415, "Unsupported Media Type"},
	{CodeUnprocessableContent, 422, "Unprocessable Content"},
	{CodeTooManyRequests, 429, "Too Many Requests"},
	{CodeClientClosedRequest, 499, "Client Closed Request"},
	{CodeInternalServerError, 500, "Internal Server Error"},
	{CodeNotImplemented, 501, "Not Implemented"},
	{CodeBadGateway, 502, "Bad Gateway"},
	{CodeServiceUnavailable, 503, "Service Unavailable"},
	{CodeGatewayTimeout, 504, "Gateway Timeout"},
}

// Status returns the default HTTP status of the code: 500 for a code that is not a common one.
func (c Code) Status() int {
	for _, k := range commonCodes {
		if k.code == c {
			return k.status
		}
	}
	return 500
}

// Message returns the default message of the code: the code itself if it is not a common one.
func (c Code) Message() string {
	for _, k := range commonCodes {
		if k.code == c {
			return k.message
		}
	}
	return string(c)
}

// codeOfStatus returns the code of an error response without a code.
func codeOfStatus(status int) Code {
	for _, k := range commonCodes {
		if k.status == status {
			return k.code
		}
	}
	return CodeMalformedErrorResponse
}

// isErrorStatus reports whether an error may have this status.
func isErrorStatus(status int) bool { return status < 200 || status >= 400 }
