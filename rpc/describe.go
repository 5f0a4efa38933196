package rpc

import (
	"cmp"
	"reflect"
	"slices"
)

// Contract is the contract of a procedure with any types. It is implemented by [Procedure],
// [EventProcedure], durableiterator.Contract and [Route].
type Contract interface {
	// Path returns the dotted path.
	Path() string
	// Describe returns the types of the contract.
	Describe() Description
}

// Description describes a contract, for programs that generate code or documentation, such as
// package typescript. It is oRPC's procedure['~orpc'].
type Description struct {
	// Path is the path of the procedure, name by name.
	Path []string
	// Method is the HTTP method that [WithMethod] declares, or empty.
	Method string
	// Input and Output describe the input and the output of the procedure.
	Input, Output Payload
	// Errors are the errors that the procedure declares, in order.
	Errors []DeclaredError
}

// Payload is the type of an input or output.
type Payload struct {
	// Type is the type of the value or, for a stream of events, of its result. It is that of
	// [Void] if there is none.
	Type reflect.Type
	// Event is the type of the events of a stream, or nil for a value.
	Event reflect.Type
}

// DeclaredError describes an [ErrorDef].
type DeclaredError struct {
	Code    Code
	Status  int
	Message string
	Data    reflect.Type
}

// Describe implements [Contract].
func (p Procedure[In, Out]) Describe() Description { return p.spec.describe() }

// Describe implements [Contract].
func (p EventProcedure[In, T, R]) Describe() Description { return p.spec.describe() }

// Describe implements [Contract].
func (r Route) Describe() Description { return r.spec.describe() }

// Routes returns the routes of the router, sorted by path.
func (r *Router) Routes() []Route {
	routes := make([]Route, 0, len(r.routes))
	for _, route := range r.routes {
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b Route) int { return cmp.Compare(a.Path(), b.Path()) })
	return routes
}

func (s *spec) describe() Description {
	d := Description{Path: slices.Clone(s.path), Method: s.method, Input: s.input, Output: s.output}
	for _, e := range s.errors {
		d.Errors = append(d.Errors, e.describe())
	}
	return d
}

func (d ErrorDef[D]) describe() DeclaredError {
	return DeclaredError{Code: d.code, Status: d.status, Message: d.message, Data: reflect.TypeFor[D]()}
}

// payloadOf returns the payload of an input or output of type T.
func payloadOf[T any]() Payload {
	var t T
	if s, ok := any(t).(streamInput); ok {
		return s.payload()
	}
	return Payload{Type: reflect.TypeFor[T]()}
}

func (*Events[T, R]) payload() Payload {
	return Payload{Type: reflect.TypeFor[R](), Event: reflect.TypeFor[T]()}
}
