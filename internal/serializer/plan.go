package serializer

import (
	"encoding/json"
	"reflect"
)

// planner makes the plans for a type and for all types in it.
type planner struct {
	s    *Serializer
	made map[reflect.Type]*plan // those of recursive types may still be empty
}

func (b *planner) plan(t reflect.Type) *plan {
	if p, ok := b.s.plans.Load(t); ok {
		return p.(*plan)
	}
	if p := b.made[t]; p != nil {
		return p
	}
	p := new(plan)
	b.made[t] = p
	*p = b.make(t)
	return p
}

func (b *planner) make(t reflect.Type) plan {
	p, special := specialPlan(t)
	if !special {
		p = b.kindPlan(t)
		b.addMethods(&p, t)
	}
	if c := b.s.customFor(t); c != nil {
		p.quiet, p.encode = false, encodeCustom(c)
	}
	return p
}

// specialPlan returns the plan for a type that isSpecial.
func specialPlan(t reflect.Type) (plan, bool) {
	switch t {
	case bigIntType:
		return plan{expects: "bigint", takes: types(typeBigInt), encode: encodeBigInt, decode: decodeBigInt}, true
	case fileType:
		return plan{expects: "file", takes: allTypes, encode: encodeFileByValue, decode: decodeFileByValue}, true
	case filePointerType:
		return plan{expects: "file", takes: types(typeFile, typeUndefined), encode: encodeFile, decode: decodeFile}, true
	case invalidDateType:
		return plan{expects: "invalid date", takes: types(typeDate), encode: encodeInvalidDate, decode: decodeInvalidDate}, true
	case mapType:
		return plan{expects: "map", takes: types(typeMap), encode: encodeMapType, decode: decodeMapType}, true
	case presentUndefinedType:
		return plan{expects: "undefined", takes: types(typeUndefined), encode: encodePresentUndefined, decode: decodeUndefined}, true
	case regExpType:
		return plan{expects: "regexp", takes: types(typeRegExp), encode: encodeRegExp, decode: decodeRegExp}, true
	case setType:
		return plan{expects: "set", takes: types(typeSet), encode: encodeSetType, decode: decodeSetType}, true
	case timeType:
		return plan{expects: "date", takes: types(typeDate), encode: encodeTime, decode: decodeTime}, true
	case undefinedType:
		return plan{expects: "undefined", takes: types(typeUndefined), encode: encodeUndefined, decode: decodeUndefined}, true
	case urlType:
		return plan{expects: "url", takes: types(typeURL), encode: encodeURL, decode: decodeURL}, true
	case valueType:
		return plan{expects: "any value", takes: allTypes, raw: true, encode: encodeValue, decode: decodeValue}, true
	case numberType:
		return plan{expects: "number", encode: encodeNumber, decode: decodeNumber}, true
	}
	return plan{}, false
}

// kindPlan returns the plan for a type without regard to its methods.
func (b *planner) kindPlan(t reflect.Type) plan {
	switch t.Kind() {
	case reflect.Bool:
		return plan{expects: "boolean", quiet: true, encode: encodeBool, decode: decodeBool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return plan{expects: "integer", takes: types(typeBigInt), quiet: true, encode: encodeInt, decode: decodeInt}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return plan{expects: "integer", takes: types(typeBigInt), quiet: true, encode: encodeUint, decode: decodeUint}
	case reflect.Float32, reflect.Float64:
		return plan{expects: "number", takes: types(typeNaN), encode: encodeFloat, decode: decodeFloat}
	case reflect.String:
		return plan{expects: "string", quiet: true, encode: encodeString, decode: decodeString}
	case reflect.Interface:
		return plan{expects: "nothing", takes: allTypes, encode: encodeInterface, decode: decodeInterface(t)}
	case reflect.Pointer:
		return b.pointerPlan(t)
	case reflect.Struct:
		return b.structPlan(t)
	case reflect.Map:
		return b.mapPlan(t)
	case reflect.Slice:
		if isBytes(t) {
			return plan{expects: "string", encode: encodeBytes, decode: decodeBytes(b.plan(t.Elem()))}
		}
		elem := b.plan(t.Elem())
		return plan{expects: "array", encode: encodeSlice(elem), decode: decodeSlice(elem)}
	case reflect.Array:
		elem := b.plan(t.Elem())
		return plan{expects: "array", encode: encodeArray(elem), decode: decodeArray(elem)}
	}
	return plan{expects: "nothing", encode: encodeUnsupported, decode: decodeUnsupported}
}

// isBytes reports whether a slice is sent in base64, as in encoding/json.
func isBytes(t reflect.Type) bool {
	p := reflect.PointerTo(t.Elem())
	return t.Elem().Kind() == reflect.Uint8 && !p.Implements(marshalerType) && !p.Implements(textMarshalerType)
}

func (b *planner) pointerPlan(t reflect.Type) plan {
	elem := b.plan(t.Elem())
	kind := t.Elem().Kind()
	cyclic := kind == reflect.Pointer || kind == reflect.Interface
	return plan{takes: allTypes, raw: isRaw(t.Elem()), encode: encodePointer(elem, cyclic), decode: decodePointer(elem)}
}

func isRaw(t reflect.Type) bool { return t == valueType || t == reflect.TypeFor[json.RawMessage]() }

func (b *planner) structPlan(t reflect.Type) plan {
	fields := fieldsOf(t)
	for i := range fields.list {
		f := &fields.list[i]
		f.plan = b.plan(f.typ)
		if f.quoted && !hasMethods(f.typ) && b.s.customFor(f.typ) == nil {
			quoted := quotedPlan(f.plan)
			f.plan = &quoted
		}
	}
	return plan{expects: "object", encode: encodeStruct(fields), decode: decodeStruct(fields)}
}

// mapPlan chooses between an object, a set and a map.
func (b *planner) mapPlan(t reflect.Type) plan {
	key, elem := b.plan(t.Key()), b.plan(t.Elem())
	decode := mapDecoder{key: key, elem: elem, keyFromText: keyReader(t.Key())}
	p := plan{expects: "map", takes: types(typeMap), decode: decode.decode}
	switch {
	case t.Elem() == emptyStructType:
		p.expects, p.takes, p.encode = "set", types(typeSet), encodeKeys(key)
	case b.isStringKey(t.Key()):
		p.expects, p.encode = "object", encodeObject(elem)
	default:
		p.encode = encodeEntries(key, elem)
	}
	return p
}

// isStringKey reports whether maps with keys of type t are sent as objects.
func (b *planner) isStringKey(t reflect.Type) bool {
	if t.Kind() == reflect.String {
		return true
	}
	base := t
	if t.Kind() == reflect.Pointer {
		base = t.Elem()
	}
	return t.Implements(textMarshalerType) && !isSpecial(base) && b.s.customFor(t) == nil && b.s.customFor(base) == nil
}

// addMethods makes the methods of t take precedence over its kind. Pointers and interfaces are
// followed first, since they may lead to a special type.
func (b *planner) addMethods(p *plan, t reflect.Type) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return
	}
	pointer := reflect.PointerTo(t)
	p.quiet = p.quiet && !hasMethods(t)
	switch {
	case t.Implements(textMarshalerType):
		p.encode = encodeText
	case pointer.Implements(textMarshalerType):
		p.encode = ifAddressable(encodeText, p.encode)
	}
	switch {
	case t.Implements(marshalerType):
		p.encode = encodeMarshaler
	case pointer.Implements(marshalerType):
		p.encode = ifAddressable(encodeMarshaler, p.encode)
	}
	switch {
	case pointer.Implements(unmarshalerType):
		p.raw, p.takes, p.decode = isRaw(t), allTypes.without(typeUndefined, typeFile), decodeUnmarshaler
	case pointer.Implements(textUnmarshalerType):
		p.expects, p.takes = "string", types(typeBigInt, typeDate, typeURL, typeRegExp)
		p.decode = decodeText
	}
}

// ifAddressable returns a function that uses a method of the pointer type if the value has an
// address, as encoding/json does.
func ifAddressable(method, otherwise encodeFunc) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if v.CanAddr() {
			return method(e, v.Addr())
		}
		return otherwise(e, v)
	}
}
