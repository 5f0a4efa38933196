package serializer

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Serializer encodes and decodes. The zero Serializer has no custom types. It must
// not be copied after first use.
type Serializer struct {
	customs   []*value.Serializer // in the order given: the first match encodes
	byNumber  map[int]int32       // their indexes, by type
	plans     sync.Map            // reflect.Type to *plan
	encoders  sync.Pool           // of *encoder
	decodings sync.Pool           // of *decoding
}

// New makes a serializer with custom types. Two customs of one type number are
// refused, as is one that lacks a part.
func New(customs ...value.Serializer) (*Serializer, error) {
	s := &Serializer{byNumber: make(map[int]int32, len(customs))}
	for i, c := range customs {
		_, again := s.byNumber[c.Type]
		switch {
		case c.Type < 0:
			return nil, fmt.Errorf("serializer: new: custom type %d is negative", c.Type)
		case c.GoType == nil || c.Encode == nil || c.Decode == nil:
			return nil, fmt.Errorf("serializer: new: custom type %d lacks its Go type or a function", c.Type)
		case again:
			return nil, fmt.Errorf("serializer: new: custom type %d is given twice", c.Type)
		}
		s.customs = append(s.customs, &c)
		s.byNumber[c.Type] = int32(i)
	}
	return s, nil
}

// customFor returns the first custom serializer that encodes values of type t, if any.
func (s *Serializer) customFor(t reflect.Type) *value.Serializer {
	for _, c := range s.customs {
		if matches(c, t) {
			return c
		}
	}
	return nil
}

// matches reports whether c is for values of type t.
func matches(c *value.Serializer, t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false // what is in it decides
	}
	return t == c.GoType || c.GoType.Kind() == reflect.Interface && t.Implements(c.GoType)
}

// plan is how values of one Go type are written and read. It is made once per type
// and serializer, and not changed afterwards.
type plan struct {
	// expects names the expected kind of value in issues.
	expects string
	// takes says which built-in types decode understands.
	takes builtIns
	// raw means that decode wants the JSON even where a custom type stands.
	raw bool
	// quiet means that encode neither fails nor adds to meta, and so needs no path.
	quiet bool
	// encode appends the JSON of a value. Appending nothing means undefined.
	encode encodeFunc
	// decode reads the value at the cursor; its mark is nil where there is no meta.
	decode decodeFunc
}

type (
	encodeFunc func(*encoder, reflect.Value) error
	decodeFunc func(*decoder, reflect.Value, *mark)
)

func (s *Serializer) plan(t reflect.Type) *plan {
	if p, ok := s.plans.Load(t); ok {
		return p.(*plan)
	}
	b := planner{s: s, made: make(map[reflect.Type]*plan)}
	p := b.plan(t)
	// Only now are the plans complete. Another goroutine may have made the same ones.
	for t, p := range b.made {
		s.plans.LoadOrStore(t, p)
	}
	return p
}

// encoder writes one envelope.
type encoder struct {
	s     *Serializer
	buf   []byte    // the envelope, so far without meta
	meta  []byte    // the items of meta, each with a comma behind
	path  []segment // leads to the value at hand
	depth int

	form  bool          // files can be sent
	maps  []byte        // the paths to the files, each with a comma behind
	files []*value.File // in the order of maps
}

// segment is a step of a path: a key or, if index is not negative, an index.
type segment struct {
	key   string
	index int
}

// keepLimit is the largest buffer that waits in the pool for the next message.
const keepLimit = 64 << 10

func (s *Serializer) encoder() *encoder {
	if e, ok := s.encoders.Get().(*encoder); ok {
		return e
	}
	return &encoder{s: s, buf: make([]byte, 0, 512), path: make([]segment, 0, 16)}
}

func (s *Serializer) release(e *encoder) {
	if cap(e.buf) > keepLimit || cap(e.meta) > keepLimit || cap(e.maps) > keepLimit {
		return
	}
	e.buf, e.meta, e.path, e.depth = e.buf[:0], e.meta[:0], e.path[:0], 0
	e.form, e.maps, e.files = false, e.maps[:0], nil
	s.encoders.Put(e)
}

// decoder fills a target from checked JSON and the marks over it. It goes on after an
// issue, so that all of them are found.
type decoder struct {
	jsontext.Cursor
	s      *Serializer
	marks  marks
	next   int  // the index in marks.list of the first mark that is not before the cursor
	shared bool // a Value has marks in it
	path   []step
	// followed counts the pointers of the target that the value at hand is behind.
	followed int
	issues   []Issue
	room     int   // how much more the issues may hold, see issueRoom
	err      error // ends the decoding with something else than issues
}

// step is a segment of the path to the value at hand: a key, or an index if key is nil.
type step struct {
	key   []byte
	index int
}

// put sets v to x, following a pointer on either side. It reports whether the
// types allow that. An invalid x is nil.
func put(v, x reflect.Value) bool {
	if !x.IsValid() {
		switch v.Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
			v.SetZero()
			return true
		}
		return false
	}
	switch {
	case x.Type().AssignableTo(v.Type()):
		v.Set(x)
		return true
	case x.Kind() == reflect.Pointer && !x.IsNil() && x.Type().Elem().AssignableTo(v.Type()):
		v.Set(x.Elem())
		return true
	case v.Kind() == reflect.Pointer && x.Type().AssignableTo(v.Type().Elem()):
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(x)
		v.Set(p)
		return true
	}
	return false
}
