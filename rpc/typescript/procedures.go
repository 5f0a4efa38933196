package typescript

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
)

// procedure is a procedure of the client type, or a method of an iterator.
type procedure struct {
	rpc.Description
	iterator *iteratorTypes // the iterator that it returns, nil if it returns something else
	method   bool
}

// iteratorTypes has the names of the types of an iterator.
type iteratorTypes struct{ iterator, methods *declaration } // methods is nil if there are none

// procedures returns the procedures of the client type by their paths, and declares their
// iterators with their methods.
func (m *module) procedures() (map[string]*procedure, error) {
	all := map[string]*procedure{}
	if m.Router != nil {
		for _, route := range m.Router.Routes() {
			all[route.Path()] = &procedure{Description: route.Describe()}
		}
	}
	for _, c := range m.Contracts {
		if err := add(all, c); err != nil {
			return nil, err
		}
	}
	for _, it := range m.Iterators {
		if err := m.addIterator(all, it); err != nil {
			return nil, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		p := all[path]
		if event, ok := eventType(p.Output); ok && p.iterator == nil {
			var err error
			if p.iterator, err = m.iterator(Iterator{Name: pathName(p.Path), Event: event}, path); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return all, nil
}

// add adds a contract. It returns an error if all has another contract with the same path,
// and does nothing if it has a route of the same contract.
func add(all map[string]*procedure, c rpc.Contract) error {
	p := &procedure{Description: c.Describe()}
	if other, ok := all[c.Path()]; ok && (other.Input != p.Input || other.Output != p.Output) {
		return fmt.Errorf("%s: two contracts have this path", c.Path())
	}
	all[c.Path()] = p
	return nil
}

func (m *module) addIterator(all map[string]*procedure, it Iterator) error {
	if it.Contract == nil {
		if it.Name == "" || it.Event == nil {
			return fmt.Errorf("iterator %q: it needs a contract, or a name and the type of its events", it.Name)
		}
		_, err := m.iterator(it, it.Name)
		return err
	}
	path := it.Contract.Path()
	if known, ok := all[path]; ok && known.iterator != nil {
		return fmt.Errorf("%s: the iterator is listed twice", path)
	}
	if err := add(all, it.Contract); err != nil {
		return err
	}
	p := all[path]
	var ok bool
	if it.Event, ok = eventType(p.Output); !ok {
		return fmt.Errorf("%s: it does not return an iterator", path)
	}
	if it.Name == "" {
		it.Name = pathName(p.Path)
	}
	var err error
	if p.iterator, err = m.iterator(it, path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// eventType returns the type of the events of a durable iterator.
func eventType(p rpc.Payload) (reflect.Type, bool) {
	if p.Event != nil || !p.Type.Implements(iteratorType) || p.Type.Kind() != reflect.Pointer {
		return nil, false
	}
	return reflect.Zero(p.Type).Interface().(iterator).EventType(), true //nolint:forcetypeassert // see above
}

// client declares the client type of the procedures.
func (m *module) client(procedures map[string]*procedure) error {
	if m.Plain || len(procedures) == 0 {
		return nil
	}
	client := m.newDeclaration(sectionClient, "RouterClient", nil)
	client.comment = comment{"The client of the router: `createORPCClient<RouterClient>(link)`. C is the context of its calls."}
	tree, err := m.tree(procedures)
	client.write(m.alias(client, tree))
	if err != nil {
		return err
	}
	for _, what := range []string{"Inputs", "Outputs"} {
		d := m.newDeclaration(sectionClient, what, nil)
		d.comment = comment{fmt.Sprintf("The %s of the procedures.", strings.ToLower(what))}
		m.importName("@orpc/client", "InferClient"+what)
		d.write(alias{head: docs{text("export type "), name{d}}, typ: genericOf("InferClient"+what, client.expr())})
	}
	return nil
}

// alias returns a declaration of a type that has procedures, and therefore their context as
// its parameter.
func (m *module) alias(d *declaration, e expr) doc {
	if m.Plain {
		return alias{head: docs{text("export type "), name{d}}, typ: e}
	}
	context := docs{text("C extends "), m.importName("@orpc/client", "ClientContext"), text(" = Record<never, never>")}
	parameters := docs{text("<"), indent{docs{blank, context}}, ifBroken(","), blank, text(">")}
	return alias{head: docs{text("export type "), name{d}, parameters}, parameters: true, typ: e}
}

// tree returns the type of an object of procedures, in which the names of a path are nested.
func (m *module) tree(procedures map[string]*procedure) (expr, error) {
	var properties []property
	for _, path := range slices.Sorted(maps.Keys(procedures)) {
		first, _, nested := strings.Cut(path, ".")
		if nested {
			if len(properties) > 0 && properties[len(properties)-1].name == first {
				continue // the group has been added
			}
			inner, err := m.tree(below(procedures, first))
			if err != nil {
				return expr{}, err
			}
			properties = append(properties, property{name: first, typ: inner})
			continue
		}
		p := procedures[path]
		if len(below(procedures, first)) > 0 {
			return expr{}, fmt.Errorf("%s: it is a procedure, and a group of others", strings.Join(p.Path, "."))
		}
		typ, err := m.procedure(p)
		if err != nil {
			return expr{}, fmt.Errorf("%s: %w", strings.Join(p.Path, "."), err)
		}
		properties = append(properties, property{name: path, typ: typ, comment: func() comment { return m.source.contract(p.Path) }})
	}
	return objectOf(properties), nil
}

// below returns the procedures of a group, by the rest of their paths.
func below(procedures map[string]*procedure, group string) map[string]*procedure {
	inner := map[string]*procedure{}
	for path, p := range procedures {
		if rest, ok := strings.CutPrefix(path, group+"."); ok {
			inner[rest] = p
		}
	}
	return inner
}

// procedure returns the type of a procedure.
func (m *module) procedure(p *procedure) (expr, error) {
	input, err := m.input(p)
	if err != nil {
		return expr{}, fmt.Errorf("input: %w", err)
	}
	output, err := m.output(p)
	if err != nil {
		return expr{}, fmt.Errorf("output: %w", err)
	}
	var failures []expr
	for _, e := range p.Errors {
		failure, err := m.failure(e)
		if err != nil {
			return expr{}, fmt.Errorf("error %s: %w", e.Code, err)
		}
		failures = append(failures, failure)
	}
	if m.Plain {
		m.importName(m.clientModule(), "Method")
		return genericOf("Method", input, output), nil
	}
	if p.method {
		failures = nil // over the socket of an iterator errors are not marked as declared
	}
	failures = append(failures, expr{doc: m.importName("@orpc/client", "ThrowableError"), form: named})
	m.importName("@orpc/client", "Client")
	return genericOf("Client", word("C"), input, output, unionOf(failures...)), nil
}

func (m *module) input(p *procedure) (expr, error) {
	switch {
	case p.Input.Event != nil && p.method:
		return expr{}, fmt.Errorf("the input of a method cannot be a stream of events")
	case p.Input.Event != nil:
		return m.stream("AsyncIteratorObject", p.Input)
	case p.Input.Type == voidType:
		return word("void"), nil
	}
	input, err := m.expr(p.Input.Type)
	if err == nil && p.Input.Type.Kind() == reflect.Pointer {
		input = unionOf(input, word("undefined")) // is nil too
	}
	return input, err
}

func (m *module) output(p *procedure) (expr, error) {
	switch {
	case p.iterator != nil && (m.Plain || m.isOriginal()):
		return p.iterator.iterator.expr(), nil
	case p.iterator != nil:
		return p.iterator.iterator.ofContext(), nil
	case p.Output.Event != nil && m.Plain:
		return m.stream("AsyncIteratorObject", p.Output)
	case p.Output.Event != nil:
		m.importName("@orpc/client", "AsyncIteratorClass")
		return m.stream("AsyncIteratorClass", p.Output)
	case p.Output.Type == voidType:
		return word("void"), nil
	case p.Output.Type.Implements(iteratorType):
		return expr{}, fmt.Errorf("a method cannot return a durable iterator")
	}
	return m.expr(p.Output.Type)
}

// stream returns the type of a stream of events.
func (m *module) stream(of string, p rpc.Payload) (expr, error) {
	event, err := m.event(p.Event)
	if err != nil {
		return expr{}, err
	}
	result, err := m.event(p.Type)
	if p.Type == voidType {
		result = word("void")
	}
	return genericOf(of, event, result, word("void")), err
}

// event returns the type of the events of a stream.
func (m *module) event(t reflect.Type) (expr, error) {
	if t == voidType {
		return word("undefined"), nil
	}
	if m.holdsFile(t, map[reflect.Type]bool{}) {
		return expr{}, fmt.Errorf("event: %s contains a file, which cannot be part of an event", t)
	}
	e, err := m.expr(t)
	if err != nil {
		return expr{}, fmt.Errorf("event: %w", err)
	}
	return e, nil
}

// holdsFile reports whether values of a type can contain a file, as far as the type shows
// it.
func (m *module) holdsFile(t reflect.Type, seen map[reflect.Type]bool) bool {
	if _, own := m.own(t); own || seen[t] {
		return false
	}
	seen[t] = true
	s := m.serializer.Shape(t)
	if s.Kind == serializer.File {
		return true
	}
	content := []reflect.Type{s.Key, s.Elem}
	for _, member := range s.Members {
		content = append(content, member.Type)
	}
	return slices.ContainsFunc(content, func(t reflect.Type) bool { return t != nil && m.holdsFile(t, seen) })
}
