package rpc

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// internalMessage is the message that is sent for an error that is not an [Error]. As in oRPC, its
// spelling differs from the code's default message.
const internalMessage = "Internal server error"

// Error is an error with a code that is sent to the client or the server. It is oRPC's ORPCError.
// If a handler returns one, its caller receives it; for any other error the caller receives
// [CodeInternalServerError] without details. An Error must not be changed after it was returned,
// because it may be shared.
type Error struct {
	// Code identifies the kind of error.
	Code Code
	// Status is the HTTP status. 0 means the code's default. It must be less than 200 or at
	// least 400; an error with another status is sent as [CodeInternalServerError].
	Status int
	// Message is a message for people. Empty means the code's default.
	Message string
	// Data is any serializable value. Nil means no data; to send null, use a [value.Value]. In
	// an error that was received it is a value.Value: read it with [ErrorData].
	Data any
	// Defined means that the procedure declares this error, see [DefineError], and that code,
	// status and data match the declaration. The server sets it; a value that a handler sets
	// is ignored.
	Defined bool

	cause error
}

// Errorf returns an Error with a formatted message. It wraps errors that are formatted with %w;
// except for their text in the message, these are not sent.
func Errorf(c Code, format string, a ...any) *Error {
	err := fmt.Errorf(format, a...)
	e := &Error{Code: c, Message: err.Error(), cause: errors.Unwrap(err)}
	if _, several := err.(interface{ Unwrap() []error }); several {
		e.cause = err
	}
	return e
}

// Error returns the code and the message. For an invalid input it adds the first issue, see
// [ValidationIssues], and for a response that is not an RPC error the address of the request and the
// beginning of a plain text, see [ErrorResponse].
func (e *Error) Error() string {
	if e == nil {
		return "nil *rpc.Error"
	}
	text := string(e.Code)
	if message := cmp.Or(e.Message, e.Code.Message()); message != text {
		text += ": " + message
	}
	switch data := e.Data.(type) {
	case ErrorResponse:
		return text + data.details(e.Message)
	case ValidationIssues, value.Value:
		if issues, err := ErrorData[ValidationIssues](e); err == nil && e.Code == CodeBadRequest && len(issues.Issues) > 0 {
			return text + ": " + issues.Issues[0].String()
		}
	}
	return text
}

// Unwrap returns the local cause, which is not sent.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// WithCause returns a copy of e with a local cause.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// CodeOf returns the code of the first [Error] in err's tree,
// [CodeInternalServerError] for any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := findError(err); ok {
		return e.Code
	}
	return CodeInternalServerError
}

// findError returns the first Error in err's tree. A nil *Error that was returned as an error, an
// easy mistake, does not count as one, although err is not nil.
func findError(err error) (*Error, bool) {
	e, ok := errors.AsType[*Error](err)
	return e, ok && e != nil
}

// internalError returns the error that is sent instead of cause, which the caller must not see.
func internalError(cause error) *Error {
	return &Error{Code: CodeInternalServerError, Status: 500, Message: internalMessage, cause: cause}
}

// unencodableError is sent instead of an error whose data cannot be encoded.
var unencodableError = []byte(`{"json":{"defined":false,"code":"` + string(CodeInternalServerError) +
	`","status":500,"message":"` + internalMessage + `"}}`)

// ToError returns err in the form in which it is sent: the first [Error] in its tree, with the
// defaults of its code filled in, or [CodeInternalServerError] with err as its local cause. It is
// oRPC's toORPCError. If err is nil, it returns nil.
func ToError(err error) *Error {
	if err == nil {
		return nil
	}
	e, ok := findError(err)
	if !ok {
		return internalError(err)
	}
	full := *e
	full.Status = cmp.Or(e.Status, e.Code.Status())
	full.Message = cmp.Or(e.Message, e.Code.Message())
	if !isErrorStatus(full.Status) {
		return internalError(fmt.Errorf("rpc: %d is no status for an error: %w", full.Status, err))
	}
	return &full
}

// ErrorData returns the data of the first [Error] in err's tree as a D. It can be used for errors
// that were received and for errors that were created locally. If D is [Void], any data and no
// data are accepted; if D is any, it returns nil without data.
func ErrorData[D any](err error) (D, error) {
	var d D
	e, ok := findError(err)
	if !ok {
		return d, fmt.Errorf("rpc: error data: %w", errNoError)
	}
	if isVoid(d) {
		return d, nil
	}
	switch data := e.Data.(type) {
	case value.Value:
		if err := data.Decode(&d); err != nil {
			var zero D
			return zero, fmt.Errorf("rpc: error data: %w", err)
		}
		return d, nil
	case D:
		return data, nil
	}
	if e.Data == nil && reflect.TypeFor[D]() == reflect.TypeFor[any]() {
		return d, nil
	}
	return d, fmt.Errorf("rpc: error data: it is a %T, not a %T", e.Data, d)
}

var errNoError = errors.New("no *rpc.Error")

// wireError is the serialized form of an Error: these members, in this order.
type wireError struct {
	Defined bool   `json:"defined"`
	Code    Code   `json:"code"`
	Status  int    `json:"status"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

func (e *Error) wire() wireError {
	w := wireError{Defined: e.Defined, Code: e.Code, Status: e.Status, Message: e.Message, Data: e.Data}
	if e.Data == nil || isVoid(e.Data) {
		w.Data = value.Undefined{}
	}
	return w
}

// readError reads a value as an RPC error. It returns false if the value has other members than
// those of wireError, or members of other types.
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

// readMember reads a member if it is a T, without converting other types.
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

// ErrorDef is an error that a procedure declares: its code, its status and the type of its data.
// Create one with [DefineError], pass it to [Define], return [ErrorDef.New] from the handler and
// recognize it with [ErrorDef.As]. It is an entry of oRPC's .errors(…).
type ErrorDef[D any] struct {
	code    Code
	status  int
	message string
}

// DefineError declares an error. Status 0 and message "" mean the defaults of the code. It panics
// if the code is empty or the status is not one that an [Error] may have.
func DefineError[D any](c Code, status int, message string) ErrorDef[D] {
	d := ErrorDef[D]{c, cmp.Or(status, c.Status()), cmp.Or(message, c.Message())}
	if c == "" {
		panic("rpc: DefineError: empty code")
	}
	if !isErrorStatus(d.status) {
		panic(fmt.Sprintf("rpc: DefineError: %s: %d is no status for an error", c, status))
	}
	return d
}

// New returns the error with this data, for a handler to return.
func (d ErrorDef[D]) New(data D) *Error {
	return &Error{Code: d.code, Status: d.status, Message: d.message, Data: data}
}

// As reports whether err is this error, by its code, status and data, and returns the data. It
// ignores [Error.Defined], which is never set for methods of durable objects.
func (d ErrorDef[D]) As(err error) (D, bool) {
	e, ok := findError(err)
	if !ok || !d.fits(e) {
		var zero D
		return zero, false
	}
	data, err := ErrorData[D](e)
	return data, err == nil
}

// declares reports whether e matches this declaration, for Error.Defined.
func (d ErrorDef[D]) declares(e *Error) bool {
	if !d.fits(e) {
		return false
	}
	_, err := ErrorData[D](e)
	return err == nil
}

func (d ErrorDef[D]) fits(e *Error) bool {
	return e.Code == d.code && cmp.Or(e.Status, e.Code.Status()) == d.status
}

func (d ErrorDef[D]) describe() DeclaredError {
	return DeclaredError{Code: d.code, Status: d.status, Message: d.message, Data: reflect.TypeFor[D]()}
}

// ValidationIssues is the data of the [CodeBadRequest] error for an invalid input. Clients read it
// with [ErrorData]. Servers that are not written in Go may send other kinds of path segments, and
// further members, which are ignored.
type ValidationIssues struct {
	Issues []Issue `json:"issues"`
}

// Issue describes an invalid part of an input.
type Issue struct {
	// Message is a message for people.
	Message string `json:"message"`
	// Path is the path from the root of the input to the invalid part: names of members, as
	// on the wire, and indexes. It is not nil; an empty path means the root.
	Path []any `json:"path"`
}

// String returns the path, with dots, and the message.
func (i Issue) String() string {
	var path strings.Builder
	for _, segment := range i.Path {
		fmt.Fprintf(&path, ".%v", segment)
	}
	if path.Len() == 0 {
		return i.Message
	}
	return path.String()[1:] + ": " + i.Message
}

// ErrorResponse is the data of the error that a client returns for an error response that is not
// an RPC error, for example of a proxy. Read it with [ErrorData]. The code of the error is the
// common code of the status, or [CodeMalformedErrorResponse] if there is none.
type ErrorResponse struct {
	Status  int         `json:"status"`
	Headers http.Header `json:"headers"`
	// Body is a [value.Value] if the body was encoded as one, and a string otherwise.
	Body any `json:"body"`

	request string // method and address, without the query, or empty
}

// maxDetails is how many bytes of a body are in the text of an error.
const maxDetails = 120

// details returns what the text of the error adds to its message.
func (r ErrorResponse) details(message string) (text string) {
	if r.request != "" {
		text = ": " + r.request
	}
	body, ok := r.Body.(string)
	body, _, _ = strings.Cut(strings.TrimSpace(body), "\n")
	media, _, _ := mime.ParseMediaType(r.Headers.Get(headerContentType))
	if !ok || media != "text/plain" || strings.Contains(message, body) {
		return text
	}
	return text + ": " + strings.ToValidUTF8(body[:min(len(body), maxDetails)], "")
}

func (r ErrorResponse) err() *Error {
	code := codeOfStatus(r.Status)
	return &Error{Code: code, Status: r.Status, Message: code.Message(), Data: r}
}

// PanicError is the error of a call whose handler panicked.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // the stack at the panic
}

// Error returns the value as a string, without the stack. If the value is neither an error nor a
// [fmt.Stringer] nor of a basic type, it returns the name of the type.
func (e *PanicError) Error() string { return "panic: " + asynclog.PanicText(e.Value) }
