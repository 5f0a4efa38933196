package serializer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// MalformedError is returned when a message is not JSON, or its meta does not fit it.
// A server answers it with BAD_REQUEST.
type MalformedError struct {
	// Reason says what is wrong. It may quote a part of the text.
	Reason string
	// Err is the error of a custom serializer that refused its content, else nil.
	Err error
}

func (e *MalformedError) Error() string {
	if e.Err != nil {
		return "serializer: decode: malformed message: " + e.Reason + ": " + e.Err.Error()
	}
	return "serializer: decode: malformed message: " + e.Reason
}

// Unwrap returns the error of the custom serializer, or nil if there was none.
func (e *MalformedError) Unwrap() error { return e.Err }

func malformed(format string, args ...any) error {
	return &MalformedError{Reason: fmt.Sprintf(format, args...)}
}

// malformedText returns the error for text that is not JSON, nil for nil.
func malformedText(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntaxError](err); ok {
		return malformed("%s", e.Reason)
	}
	return err
}

// Issue is one place where a message is not of the type asked for. In JSON it has
// the form that oRPC's validation errors have.
type Issue struct {
	// Message says what was expected and what was there.
	Message string `json:"message"`
	// Path leads from the root of the message to the place: object keys as string,
	// array indexes as int. At the root it is empty, not nil.
	Path []any `json:"path"`
}

// TypeError is returned when a message is well-formed but does not fit the Go type that it
// was decoded into. What fits has been decoded.
type TypeError struct {
	// Issues lists what is wrong, in the order of the text. It has at least one element.
	// The list ends early when it grows past about 64 KiB, so that a hostile message
	// cannot make a long answer.
	Issues []Issue
}

func (e *TypeError) Error() string {
	var b strings.Builder
	b.WriteString("serializer: decode: ")
	for i, issue := range e.Issues {
		if i == 3 {
			fmt.Fprintf(&b, " (and %d more)", len(e.Issues)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if len(issue.Path) > 0 {
			b.WriteString(dotted(issue.Path))
			b.WriteString(": ")
		}
		b.WriteString(issue.Message)
	}
	return b.String()
}

// dotted writes a path for people, as in a.b[0].
func dotted(path []any) string {
	var b strings.Builder
	for i, segment := range path {
		switch segment := segment.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(segment) + "]")
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(segment)
		}
	}
	return b.String()
}

// ErrFile is returned when a value contains a file but only JSON can be sent, such as in
// an event of an iterator. Files go with the inputs and outputs of calls.
var ErrFile = errors.New("a file cannot be sent here, only in the input or output of a call")
