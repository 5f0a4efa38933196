package rpc

import (
	"fmt"
	"reflect"
	"strings"
)

// Contract is the contract of a procedure with any types. It is implemented by [Procedure],
// [EventProcedure], durableiterator.Contract and [Route].
type Contract interface {
	// Path returns the dotted path.
	Path() string
	// Describe returns the types of the contract.
	Describe() Description
}

// Method is implemented by everything that a token can allow by name: a [Procedure], a
// [MethodGroup], or a [Name].
type Method interface {
	// Path returns the dotted path.
	Path() string
}

// Name is a [Method] without a contract.
type Name string

// Path returns the name.
func (n Name) Path() string { return string(n) }

// MethodGroup is a named group of methods. A token allows all or none of the methods of a group.
type MethodGroup struct{ name string }

// Group returns a group of methods, which are defined with [DefineIn] and [DefineEventsIn]. It
// panics if the name is empty or contains a dot.
func Group(name string) MethodGroup {
	if name == "" || strings.Contains(name, ".") {
		panic(fmt.Sprintf("rpc: Group: bad name %q", name))
	}
	return MethodGroup{name}
}

// Path returns the group's name.
func (g MethodGroup) Path() string { return g.name }

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

// Void is the type of the input or output of a procedure that has none. It is sent as undefined. A
// received value is ignored.
type Void struct{}

func isVoid(v any) bool {
	switch v.(type) {
	case Void, *Void:
		return true
	}
	return false
}
