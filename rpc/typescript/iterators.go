package typescript

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-orpc/durable-iterator/rpc"
)

// clientModule returns the module from which the types of iterators are imported.
func (m *module) clientModule() string {
	switch {
	case m.ClientModule == "" && m.Plain:
		return DefaultClientModule
	case m.ClientModule == "":
		return DefaultClientModule + "/orpc"
	}
	return m.ClientModule
}

// iterator declares the types of an iterator. of is its name in their comments.
func (m *module) iterator(it Iterator, of string) (*iteratorTypes, error) {
	event, err := m.event(it.Event)
	if err != nil {
		return nil, err
	}
	methods := map[string]*procedure{}
	for _, c := range it.Methods {
		if err := add(methods, c); err != nil {
			return nil, err
		}
		methods[c.Path()].method = true
	}
	tree, err := m.tree(methods)
	if err != nil {
		return nil, err
	}
	types := &iteratorTypes{iterator: m.newDeclaration(sectionIterators, pascal(it.Name)+"Iterator", nil)}
	all := objectOf(nil)
	if len(methods) > 0 {
		types.methods = m.newDeclaration(sectionIterators, pascal(it.Name)+"Methods", nil)
		types.methods.comment = newComment("The methods of `" + of + "`, called over the socket of its events.")
		types.methods.write(m.alias(types.methods, tree))
		if all = types.methods.ofContext(); m.Plain {
			all = types.methods.expr()
		}
	}
	types.iterator.comment = newComment("The events of `" + of + "`, and the methods that its token allows.")
	if m.isOriginal() {
		return types, m.original(types, it, event, of)
	}
	class := "ClientDurableIterator"
	if m.Plain {
		class = "DurableIterator"
	}
	m.importName(m.clientModule(), class)
	types.iterator.write(m.alias(types.iterator, genericOf(class, event, all)))
	return types, nil
}

// ofContext returns the type of a declaration that has the context of calls as its parameter.
func (d *declaration) ofContext() expr {
	return expr{doc: docs{name{d}, text("<C>")}, form: named}
}

// declaredError is the part of an error that its type depends on.
type declaredError struct {
	code rpc.Code
	data reflect.Type
}

// failure returns the type of a declared error, which is declared once for its code and data.
func (m *module) failure(e rpc.DeclaredError) (expr, error) {
	key := declaredError{e.Code, e.Data}
	if d, ok := m.errors[key]; ok {
		return d.expr(), nil
	}
	data := word("undefined")
	if e.Data != voidType {
		var err error
		if data, err = m.expr(e.Data); err != nil {
			return expr{}, err
		}
	}
	d := m.newDeclaration(sectionErrors, pascal(string(e.Code))+"Error", nil)
	d.comment = newComment(fmt.Sprintf("%s, status %d: %s", e.Code, e.Status, e.Message))
	code := word(quoted(string(e.Code)))
	if m.Plain {
		typed := objectOf([]property{{name: "code", typ: code}, {name: "data", typ: data}})
		d.write(text("export type "), name{d}, text(" = "), m.importName(m.clientModule(), "CallError"), text(" & "), typed.doc)
	} else {
		m.importName("@orpc/client", "ORPCError")
		d.write(alias{head: docs{text("export type "), name{d}}, typ: genericOf("ORPCError", code, data)})
	}
	m.errors[key] = d
	return d.expr(), nil
}

// enum declares the type of an enum.
func (m *module) enum(enum Enum) error {
	constants := m.source.constants(enum.typ)
	values := enum.values
	if len(values) == 0 {
		for _, c := range constants {
			values = append(values, c.value)
		}
	}
	if len(values) == 0 {
		return fmt.Errorf("no values, and no constants of it in the source")
	}
	names := map[string]namedConstant{}
	for _, c := range constants {
		if literal, err := m.literal(c.value); err == nil {
			names[literal] = c
		}
	}
	var literals []expr
	var named []doc
	numbers := false
	for _, v := range values {
		literal, err := m.literal(v)
		if err != nil {
			return err
		}
		literals = append(literals, word(literal))
		if _, err := strconv.ParseFloat(literal, 64); err == nil {
			numbers = true
		}
		if c, ok := names[literal]; ok {
			named = append(named, docs{c.comment.doc(), text(key(c.name) + ": " + literal + ",")})
		}
	}
	d := m.newDeclaration(sectionTypes, typeName(enum.typ), enum.typ)
	d.comment = m.source.typ(enum.typ)
	d.write(alias{head: docs{text("export type "), name{d}}, typ: unionOf(literals...)})
	if numbers && len(named) == len(values) {
		object := docs{text("{"), indent{docs{hard, joined(named, hard)}}, hard, text("} as const")}
		d.write(hard, hard, text("export const "), name{d}, text(" = "), object)
	}
	m.enums[enum.typ] = d
	return nil
}

// literal returns the literal of a value of an enum on the wire.
func (m *module) literal(v any) (string, error) {
	encoded, err := m.serializer.Append(nil, v)
	if err != nil {
		return "", err
	}
	var envelope struct {
		JSON json.RawMessage `json:"json"`
		Meta json.RawMessage `json:"meta"`
	}
	if err := json.Unmarshal(encoded, &envelope); err != nil {
		return "", err
	}
	var value any
	if err := json.Unmarshal(envelope.JSON, &value); err != nil {
		return "", err
	}
	switch value := value.(type) {
	case string:
		if envelope.Meta == nil {
			return quoted(value), nil
		}
	case float64, bool:
		return string(envelope.JSON), nil
	}
	return "", fmt.Errorf("the value %v is sent as %s, which is not a string, number or boolean", v, encoded)
}
