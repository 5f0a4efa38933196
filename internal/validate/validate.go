package validate

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"
)

// Validator is rpc.Validator.
type Validator interface {
	StructCtx(ctx context.Context, v any) error
}

// defaultValidator returns the validator that is used if none is passed: go-playground's,
// with WithRequiredStructEnabled. It is called only for types with validate tags.
var defaultValidator = sync.OnceValue(func() Validator {
	return validator.New(validator.WithRequiredStructEnabled())
})

// Value runs v on the outermost structs in a value. If v is nil it runs go-playground's
// validator, provided that the type of the value has rules: see [HasRules]. The error is a
// [*Error] if the value is wrong, [ErrTooDeep], or an error of v that is not about the
// value: one for which isOwn returns true, or any error after ctx has ended.
func Value(ctx context.Context, v Validator, value any, hasRules bool, isOwn func(error) bool) error {
	if v == nil {
		if !hasRules {
			return nil
		}
		v = defaultValidator()
	}
	w := structWalk{ctx: ctx, validator: v, isOwn: isOwn}
	if err := w.visit(reflect.ValueOf(value), nil, 0); err != nil {
		return err
	}
	if len(w.found.Issues) > 0 {
		found := w.found // so that a walk without findings stays on the stack
		return &found
	}
	return nil
}

// structWalk finds the outermost structs in a value and checks each.
type structWalk struct {
	ctx       context.Context
	validator Validator
	isOwn     func(error) bool
	found     Error
}

var timeType = reflect.TypeFor[time.Time]()

// visit validates the structs in v and records the faults. It returns an error only if it
// cannot continue.
func (w *structWalk) visit(v reflect.Value, path []any, depth int) error {
	if len(w.found.Issues) >= MaxIssues {
		return nil
	}
	if depth > maxDepth {
		return ErrTooDeep
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
			if err := w.visit(v.Index(i), Join(path, i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		if isScalar(v.Type().Elem().Kind()) {
			return nil
		}
		for entries := v.MapRange(); entries.Next(); {
			if err := w.visit(entries.Value(), Join(path, keySegment(entries.Key())), depth+1); err != nil {
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

// isChecked reports whether v is a struct that validators accept.
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
	// A path is found by a search, and there may be very many faults.
	for _, fault := range faults[:min(len(faults), MaxIssues-len(w.found.Issues))] {
		w.found.add(faultMessage(fault), Join(path, faultPath(indirect(v), fault)...))
	}
	return nil
}

// checkFailed handles an error that is not go-playground's. It records the error as an
// issue if it is about the value, and otherwise returns it.
func (w *structWalk) checkFailed(err error, path []any) error {
	_, misused := errors.AsType[*validator.InvalidValidationError](err)
	if w.isOwn(err) || misused || w.ctx.Err() != nil {
		return err
	}
	w.found.add(err.Error(), Join(path))
	return nil
}

func isScalar(k reflect.Kind) bool { return k <= reflect.Complex128 || k == reflect.String }
