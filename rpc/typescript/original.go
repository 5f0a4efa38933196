package typescript

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// OriginalClientModule is the module in which oRPC's own package has its type of iterators.
// It is no longer on npm.
const OriginalClientModule = originalModule + "/client"

const originalModule = "@orpc/experimental-durable-iterator"

// isOriginal reports whether the page uses oRPC's own package. The arguments of its type of
// an iterator are the type of the object and the names of methods. It has its own context
// of calls.
func (m *module) isOriginal() bool { return m.ClientModule == OriginalClientModule }

// original declares the type of an iterator for oRPC's own package, and that of its object.
func (m *module) original(types *iteratorTypes, it Iterator, event expr, of string) error {
	if m.Plain {
		return fmt.Errorf("%s requires a page with oRPC", OriginalClientModule)
	}
	if !m.isObject(it.Event, event) {
		return fmt.Errorf("event: values of type %s may not be objects, which %s requires", it.Event, originalModule)
	}
	members := map[string]property{}
	for _, c := range it.Methods {
		first := c.Describe().Path[0] // the name of a method, or of a group of them
		switch first {
		case "next", "return", "throw":
			return fmt.Errorf("%s: iterators of %s have a member of this name", first, originalModule)
		}
		typ := docs{text("() => "), name{types.methods}, text("[" + quoted(first) + "]")}
		members[first] = property{name: first, typ: expr{doc: typ}}
	}
	m.importName(originalModule, "DurableIteratorObject")
	m.importName(OriginalClientModule, "ClientDurableIterator")
	events, names := genericOf("DurableIteratorObject", event), word("never")
	object := m.newDeclaration(sectionIterators, pascal(it.Name)+"Object", nil)
	object.comment = newComment("The object behind `" + of + "`: its events, and its methods.")
	if len(members) == 0 {
		object.write(alias{head: docs{text("export type "), name{object}}, typ: events})
	} else {
		var list []property
		for _, first := range slices.Sorted(maps.Keys(members)) {
			list = append(list, members[first])
		}
		names = expr{doc: docs{text("keyof "), name{types.methods}}}
		object.write(text("export interface "), name{object}, text(" extends "), events.doc, text(" "), objectOf(list).doc)
	}
	types.iterator.write(alias{
		head: docs{text("export type "), name{types.iterator}}, typ: genericOf("ClientDurableIterator", object.expr(), names),
	})
	return nil
}

// objects are the kinds of values that are objects in TypeScript.
var objects = []serializer.Kind{
	serializer.Object, serializer.Record, serializer.Array, serializer.Tuple, serializer.Map, serializer.Set,
	serializer.Date, serializer.URL, serializer.RegExp,
}

// isObject reports whether the values of a type are always objects in TypeScript, and never
// null.
func (m *module) isObject(t reflect.Type, e expr) bool {
	if _, own := m.own(t); own {
		return true // the type is written by hand
	}
	if e.union != nil {
		return false
	}
	return slices.Contains(objects, m.serializer.Shape(t).Kind)
}
