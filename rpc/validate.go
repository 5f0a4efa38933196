package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Validator checks a decoded input or an output that is a struct or a pointer to
// one. *validator.Validate of go-playground/validator satisfies it.
//
// Where an input or output is a slice, an array or a map, or a pointer to one,
// its elements are checked in place of it, at any depth. Below a struct the
// validator is on its own: go-playground's enters nested structs by itself and
// slices and maps that are tagged with dive. time.Time is not checked. A value
// that a validator would have to follow deeper than 1000 levels, such as one that
// holds itself, is not given to it: that is an internal error.
//
// An input that is refused is answered as [CodeBadRequest] with
// [ValidationIssues] as data: one issue for each of validator.ValidationErrors,
// at most 100, and for any other error one with its text. An [*Error] is answered
// as it is. An output that is refused is answered as [CodeInternalServerError]
// without any detail.
type Validator interface {
	StructCtx(ctx context.Context, v any) error
}

// NoValidation is the [Validator] that accepts everything.
var NoValidation Validator = noValidation{}

type noValidation struct{}

func (noValidation) StructCtx(context.Context, any) error { return nil }

// defaultValidator is the one used where none is given. It is go-playground's
// with WithRequiredStructEnabled and runs only on types that have validate tags.
var defaultValidator = sync.OnceValue(func() Validator {
	return validator.New(validator.WithRequiredStructEnabled())
})

// malformedMessage is oRPC's text for what cannot be decoded.
const malformedMessage = "Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set correctly."

func malformedRequest(cause error) *Error {
	return &Error{Code: CodeBadRequest, Message: malformedMessage, cause: cause}
}

// decodeInput gives the input of a call, an In, checked. hasRules is what the
// function of that name says of In.
func decodeInput[In any](ctx context.Context, call *Call, hasRules bool) (any, error) {
	decoded, err := decodeAs[In](ctx, call)
	if err != nil {
		return nil, err
	}
	var in any = decoded // once: it costs an allocation
	return in, inputError(validate(ctx, call.validator, in, hasRules))
}

// decodeAs returns the input of a call as an In.
func decodeAs[In any](ctx context.Context, call *Call) (in In, err error) {
	if err := call.startDecoding(ctx); err != nil {
		return in, err
	}
	defer call.stopDecoding()
	in, err = typed[In](call.Input)
	return in, inputError(err)
}

// typed gives a value as a T. What came over a wire is decoded.
func typed[T any](given any) (t T, err error) {
	if isVoid(t) {
		if v, ok := given.(value.Value); ok && !v.IsUndefined() {
			err = v.Decode(new(value.Value)) // whatever it is, it must be well-formed
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
	return t, fmt.Errorf("rpc: value is a %T, not a %T", given, t)
}

// inputError gives the error that the caller is sent for an input that could not
// be decoded or was refused.
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
	return &Error{
		Code:    CodeBadRequest,
		Message: "Input validation failed",
		Data:    ValidationIssues{Issues: issues},
		cause:   err,
	}
}

// checkOutput checks an output of a type with or without rules.
func checkOutput(ctx context.Context, v Validator, out any, hasRules bool) error {
	switch err := validate(ctx, v, out, hasRules); {
	case errors.Is(err, errTooDeep):
		return err
	case err != nil:
		return &Error{Code: CodeInternalServerError, Message: "Output validation failed", cause: err}
	}
	return nil
}

// validate runs v on the structs in value, as Validator says. The default
// validator is not asked about types without rules.
func validate(ctx context.Context, v Validator, value any, hasRules bool) error {
	if v == nil {
		if !hasRules {
			return nil
		}
		v = defaultValidator()
	}
	if v == NoValidation || isVoid(value) {
		return nil
	}
	w := structWalk{ctx: ctx, validator: v}
	if err := w.visit(reflect.ValueOf(value), nil, 0); err != nil {
		return err
	}
	if len(w.found.issues) > 0 {
		found := w.found // so that a walk that finds nothing stays on the stack
		return &found
	}
	return nil
}

// structWalk finds the outermost structs in a value and checks each.
type structWalk struct {
	ctx       context.Context
	validator Validator
	found     refusal
}

var timeType = reflect.TypeFor[time.Time]()

// visit returns an error only where it cannot go on; what is wrong with the value is
// collected.
func (w *structWalk) visit(v reflect.Value, path []any, depth int) error {
	if len(w.found.issues) >= maxIssues {
		return nil
	}
	if depth > maxDepth {
		return errTooDeep
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if v.Kind() == reflect.Pointer && isChecked(v.Elem()) {
			return w.check(v, path)
		}
		return w.visit(v.Elem(), path, depth+1)
	case reflect.Slice, reflect.Array:
		if isScalar(v.Type().Elem().Kind()) {
			return nil
		}
		for i := range v.Len() {
			if err := w.visit(v.Index(i), join(path, i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		if isScalar(v.Type().Elem().Kind()) {
			return nil
		}
		for entries := v.MapRange(); entries.Next(); {
			if err := w.visit(entries.Value(), join(path, keySegment(entries.Key())), depth+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if isChecked(v) {
			return w.check(v, path)
		}
	}
	return nil
}

// isChecked tells whether v is a struct that validators take.
func isChecked(v reflect.Value) bool {
	return v.Kind() == reflect.Struct && !v.Type().ConvertibleTo(timeType)
}

// check runs the validator on a struct or a pointer to one.
func (w *structWalk) check(v reflect.Value, path []any) error {
	if err := checkDepth(v, false, 0); err != nil {
		return err
	}
	err := w.validator.StructCtx(w.ctx, v.Interface())
	if err == nil {
		return nil
	}
	w.found.causes = append(w.found.causes, err)
	faults, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		return w.checkFailed(err, path)
	}
	for _, fault := range faults {
		w.found.add(faultMessage(fault), join(path, faultPath(indirect(v), fault)...))
	}
	return nil
}

// checkFailed tells an error of a custom validator that is about the value from
// one that is not.
func (w *structWalk) checkFailed(err error, path []any) error {
	_, misused := errors.AsType[*validator.InvalidValidationError](err)
	if _, own := findError(err); own || misused || w.ctx.Err() != nil {
		return err
	}
	w.found.add(err.Error(), join(path))
	return nil
}

func isScalar(k reflect.Kind) bool { return k <= reflect.Complex128 || k == reflect.String }
