package serializer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

// MalformedError is returned for a message that is not JSON, or whose meta or maps does not fit
// its JSON. A server answers it with BAD_REQUEST.
type MalformedError struct {
	// Reason describes the fault. It may quote a part of the message.
	Reason string
	// Err is the error of a custom type, a URL or a regular expression, else nil.
	Err error
}

func (e *MalformedError) Error() string {
	if e.Err != nil {
		return "serializer: decode: malformed message: " + e.Reason + ": " + e.Err.Error()
	}
	return "serializer: decode: malformed message: " + e.Reason
}

// Unwrap returns e.Err.
func (e *MalformedError) Unwrap() error { return e.Err }

func malformed(format string, args ...any) error {
	return &MalformedError{Reason: fmt.Sprintf(format, args...)}
}

// malformedText returns the error for text that is not JSON. It returns nil for nil.
func malformedText(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntaxError](err); ok {
		return malformed("%s", e.Reason)
	}
	return err
}

// Issue is a place where a message does not fit the target's type. Its JSON is that of the
// issues in oRPC's validation errors.
type Issue struct {
	// Message names what was expected and what was received.
	Message string `json:"message"`
	// Path leads to the place: object keys are of type string, array indexes of type int. At
	// the root it is empty, not nil.
	Path []any `json:"path"`
}

// TypeError is returned for a message that is well-formed but does not fit the type that it
// was decoded into. The parts that fit have been decoded.
type TypeError struct {
	// Issues has at least one element. They are in the order of the message. Past about
	// 64 KiB the list ends early, so that a hostile message cannot make a long answer.
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

// dotted formats a path, as in a.b[0].
func dotted(path []any) string {
	var b strings.Builder
	for i, key := range path {
		switch key := key.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(key) + "]")
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(key)
		}
	}
	return b.String()
}

// ErrFile is returned when a value holds a file but only JSON can be sent, as in the events of
// an iterator.
var ErrFile = errors.New("a file cannot be sent here, only in the input or output of a call")
