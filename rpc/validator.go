package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/validate"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Validator validates a decoded input or an output that is a struct or a pointer to one.
// *validator.Validate of go-playground/validator implements it.
//
// If an input or output is a slice, an array or a map, or a pointer to one, its elements are
// validated instead, at any depth. Within a struct the validator decides: that of go-playground
// validates nested structs, and slices and maps with the tag dive. A time.Time is not validated. A
// value with more than 1000 levels, such as one that contains itself, is not passed to the
// validator; it results in an internal error.
//
// If an input is invalid, the call fails with [CodeBadRequest] and [ValidationIssues] as data: one
// issue for each of validator.ValidationErrors, at most 100, and for any other error one issue with
// its message. An [*Error] is sent unchanged. If an output is invalid, the call fails with
// [CodeInternalServerError] without details.
type Validator interface {
	StructCtx(ctx context.Context, v any) error
}

// NoValidation is the [Validator] that accepts everything.
var NoValidation Validator = noValidation{}

type noValidation struct{}

func (noValidation) StructCtx(context.Context, any) error { return nil }

// validateValue validates a value. The default validator is not called for types without rules.
func validateValue(ctx context.Context, v Validator, value any, hasRules bool) error {
	if v == NoValidation || isVoid(value) {
		return nil
	}
	return validate.Value(ctx, v, value, hasRules, isOwn)
}

// isOwn reports whether an error of a validator is sent unchanged.
func isOwn(err error) bool {
	_, own := findError(err)
	return own
}

// malformedMessage is oRPC's message for a request that cannot be decoded.
const malformedMessage = "Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set correctly."

func malformedRequest(cause error) *Error {
	return &Error{Code: CodeBadRequest, Message: malformedMessage, cause: cause}
}

// typed returns a value as a T. A [value.Value] is decoded.
func typed[T any](given any) (t T, err error) {
	if isVoid(t) {
		if v, ok := given.(value.Value); ok && !v.IsUndefined() {
			err = v.Decode(new(value.Value)) // the value is ignored, but must be well-formed
		}
		return t, err
	}
	switch given := given.(type) {
	case value.Value:
		err = given.Decode(&t)
		return t, err
	case nil:
		if reflect.TypeFor[T]().Kind() == reflect.Interface {
			return t, nil
		}
		err = value.Value{}.Decode(&t)
		return t, err
	case T:
		return given, nil
	}
	return t, fmt.Errorf("value is a %T, not a %T", given, t)
}

// inputError returns the error to send for an input that could not be decoded or is invalid.
func inputError(err error) error {
	if err == nil {
		return nil
	}
	if _, malformed := errors.AsType[*serializer.MalformedError](err); malformed {
		return malformedRequest(err)
	}
	issues, ok := issuesOf(err)
	if !ok {
		return err
	}
	return invalidInput(issues, err)
}

// invalidInput returns the error to send for an input with issues.
func invalidInput(issues []Issue, cause error) *Error {
	return &Error{Code: CodeBadRequest, Message: "Input validation failed", Data: ValidationIssues{issues}, cause: cause}
}

// checkOutput validates an output.
func checkOutput(ctx context.Context, v Validator, out any, hasRules bool) error {
	switch err := validateValue(ctx, v, out, hasRules); {
	case errors.Is(err, validate.ErrTooDeep):
		return err
	case err != nil:
		return &Error{Code: CodeInternalServerError, Message: "Output validation failed", cause: err}
	}
	return nil
}

// checkEvent validates an event, or the return value of a stream.
func checkEvent(ctx context.Context, v Validator, event any, hasRules bool) error {
	if err := validateValue(ctx, v, event, hasRules); err != nil {
		return &Error{Code: "EVENT_ITERATOR_VALIDATION_FAILED", Message: "Event iterator validation failed", cause: err}
	}
	return nil
}

// issuesOf returns the issues of an input, and reports whether err has any.
func issuesOf(err error) ([]Issue, bool) {
	if r, ok := errors.AsType[*validate.Error](err); ok {
		issues := make([]Issue, len(r.Issues))
		for i, issue := range r.Issues {
			issues[i] = Issue(issue)
		}
		return issues, true
	}
	t, ok := errors.AsType[*serializer.TypeError](err)
	if !ok {
		return nil, false
	}
	issues := make([]Issue, 0, min(len(t.Issues), validate.MaxIssues))
	for _, issue := range t.Issues[:min(len(t.Issues), validate.MaxIssues)] {
		issues = append(issues, Issue{issue.Message, validate.Join(issue.Path)})
	}
	return issues, true
}
