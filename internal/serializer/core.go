package serializer

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Serializer encodes and decodes values. The zero Serializer has no custom types. It must not
// be copied after first use.
type Serializer struct {
	customs   []*value.Serializer // in the order of New: the first match encodes
	byNumber  map[int]int32       // indexes in customs, by type number
	plans     sync.Map            // reflect.Type to *plan
	encoders  sync.Pool           // of *encoder
	decodings sync.Pool           // of *decoding
}

// New returns a Serializer with custom types. It returns an error if two of them have the same
// number, or if one is incomplete.
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
			return nil, fmt.Errorf("serializer: new: custom type %d is there twice", c.Type)
		}
		s.customs = append(s.customs, &c)
		s.byNumber[c.Type] = int32(i)
	}
	return s, nil
}

// customFor returns the first custom type that encodes values of type t, nil if there is none.
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
		return false // the type of its value counts
	}
	return t == c.GoType || c.GoType.Kind() == reflect.Interface && t.Implements(c.GoType)
}

// plan is how values of one Go type are encoded and decoded. It is made once per type and
// Serializer, and does not change afterwards.
type plan struct {
	// expects names the type in issues.
	expects string
	// takes has the built-in types that decode accepts.
	takes builtIns
	// raw means that decode takes the JSON of values of any type, custom types included.
	raw bool
	// quiet means that encode neither fails nor adds to meta, so that it needs no path.
	quiet bool
	// encode appends the JSON of a value, nothing if it is undefined.
	encode encodeFunc
	// decode decodes the value at the cursor, whose mark is nil if it is plain JSON.
	decode decodeFunc
}

type (
	encodeFunc func(*encoder, reflect.Value) error
	decodeFunc func(*decoder, reflect.Value, *mark)
)

// plan returns the plan for values of type t.
func (s *Serializer) plan(t reflect.Type) *plan {
	if p, ok := s.plans.Load(t); ok {
		return p.(*plan)
	}
	b := planner{s: s, made: make(map[reflect.Type]*plan)}
	p := b.plan(t)
	// Now that the plans are complete, others may use them. They may have made the same ones.
	for t, p := range b.made {
		s.plans.LoadOrStore(t, p)
	}
	return p
}

// encoder encodes one value.
type encoder struct {
	s     *Serializer
	buf   []byte    // the envelope, without meta and maps until the end
	meta  []byte    // the items of meta, each followed by a comma
	path  []segment // of the current value
	depth int

	form  bool          // the value may hold files
	maps  []byte        // the paths of the files, each followed by a comma
	files []*value.File // in the order of maps
}

// segment is a step of a path: a key or, if index is not negative, an index.
type segment struct {
	key   string
	index int
}

// keepLimit is the size of the largest buffer that is kept for the next message.
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

// decoder decodes checked JSON and its marks into a target. It continues after an issue, so that
// all of them are found.
type decoder struct {
	jsontext.Cursor
	s      *Serializer
	marks  marks
	next   int  // index in marks.list of the first mark that is not before the cursor
	shared bool // marks is shared with a Value
	path   []step
	// followed is the number of pointers in the target that lead to the current value.
	followed int
	issues   []Issue
	room     int   // how many bytes more the issues may have, see maxIssueBytes
	err      error // an error that is not about the target's type
}

// step is a segment of the path to the current value: a key, or an index if key is nil.
type step struct {
	key   []byte
	index int
}

// put sets v to x, to what x points to, or to a pointer to x. It reports whether the types
// allow that. An invalid x is nil.
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
