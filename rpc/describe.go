package rpc

import (
	"cmp"
	"reflect"
	"slices"
)

// Contract is the contract of a procedure of any types: a [Procedure], an
// [EventProcedure], a durableiterator.Contract or, with its handler, a [Route].
type Contract interface {
	// Path returns the dotted path.
	Path() string
	// Describe returns the types of the contract.
	Describe() Description
}

// Description has what a contract consists of, for programs that write code or
// documents from contracts, such as package typescript: oRPC's procedure['~orpc'].
type Description struct {
	// Path is the path of the procedure, name by name.
	Path []string
	// Method is the HTTP method that [WithMethod] declares, empty without it.
	Method string
	// Input and Output are what the procedure takes and returns.
	Input, Output Payload
	// Errors are the errors that the procedure declares, in order.
	Errors []DeclaredError
}

// Payload is the type of an input or output.
type Payload struct {
	// Type is the type of the value or, of a stream of events, of its result. It is
	// that of [Void] where there is none.
	Type reflect.Type
	// Event is the type of the events of a stream, nil for a value.
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

// payloadOf returns the payload of an input or output that is a T.
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
