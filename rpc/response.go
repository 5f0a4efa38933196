package rpc

import (
	"cmp"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func init() {
	bridge.AnswerError = func(status int, header http.Header, body string) *Error {
		return ErrorResponse{Status: status, Headers: header, Body: body}.err()
	}
}

// ErrorResponse is the data of the error that a client makes of an answer which
// failed without an RPC error in it, as a proxy sends: read it with [ErrorData].
// The code of that error is the common code of the status, or
// [CodeMalformedErrorResponse] if there is none.
type ErrorResponse struct {
	Status  int         `json:"status"`
	Headers http.Header `json:"headers"`
	// Body is a [value.Value] if the body was encoded as one, and its text otherwise.
	Body any `json:"body"`
}

func (r ErrorResponse) err() *Error {
	code := codeOfStatus(r.Status)
	return &Error{Code: code, Status: r.Status, Message: code.Message(), Data: r}
}

// readAnswer gives the output of an answer whose body is an encoded value, or the
// error that it stands for.
func readAnswer(call *Call, status int, header http.Header, body value.Value) (any, error) {
	if !isErrorStatus(status) {
		return decodeOutput(call, body)
	}
	if e, ok := readError(body); ok {
		return nil, e
	}
	return nil, ErrorResponse{Status: status, Headers: header, Body: body}.err()
}

// readError tells whether a value is an RPC error, which has these members only,
// each of the right type.
func readError(v value.Value) (*Error, bool) {
	var members map[string]value.Value
	e := &Error{}
	var code string
	var status float64
	ok := v.Decode(&members) == nil &&
		readMember(members, "defined", &e.Defined) &&
		readMember(members, "code", &code) &&
		readMember(members, "status", &status) &&
		readMember(members, "message", &e.Message)
	if data, has := members["data"]; has {
		delete(members, "data")
		if !data.IsUndefined() {
			e.Data = data
		}
	}
	e.Code, e.Status = Code(code), int(status)
	if !ok || len(members) > 0 || float64(e.Status) != status || !isErrorStatus(e.Status) {
		return nil, false
	}
	e.Message = cmp.Or(e.Message, e.Code.Message())
	return e, true
}

// readMember takes a member that is a T, and nothing that can be converted to one.
func readMember[T any](members map[string]value.Value, name string, into *T) bool {
	var v any
	if members[name].Decode(&v) != nil {
		return false
	}
	delete(members, name)
	t, ok := v.(T)
	*into = t
	return ok
}
