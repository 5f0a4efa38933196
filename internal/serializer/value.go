package serializer

import (
	"bytes"
	"fmt"
)

// Value is an encoded value whose decoding waits until its type is known. It can
// stand at any place of a value that is encoded, where it is spliced in, or of a
// target that is decoded, where it captures that part of the message with its files. A
// member that is missing leaves it zero. The zero Value is undefined.
type Value struct {
	s      *Serializer // nil in the zero Value
	json   []byte      // compact and valid; nil: undefined
	depth  int         // how deep json is nested
	beside *beside     // nil: nothing, as for most
}

// beside is what an encoded value has beside its JSON.
type beside struct {
	meta  []byte  // items [[type, segment, ...], ...], compact, checked against json; nil: none
	maps  []byte  // paths [[segment, ...], ...] to the files, compact, checked against json; nil: none
	files []*File // as many as maps has paths
}

// extras gives what is beside the JSON.
func (v Value) extras() beside {
	if v.beside == nil {
		return beside{}
	}
	return *v.beside
}

// Decode decodes the value as [Serializer.Decode] does, with the serializer that
// captured it.
func (v Value) Decode(into any) error {
	s := v.s
	if s == nil {
		s = new(Serializer)
	}
	x := v.extras()
	return s.decode(envelope{json: v.json, meta: x.meta, depth: v.depth, maps: x.maps, files: x.files}, into)
}

// IsUndefined reports whether the value is undefined, be it absent or present.
func (v Value) IsUndefined() bool {
	return v.json == nil || bytes.Equal(v.extras().meta, undefinedMeta)
}

var undefinedMeta = []byte("[[3]]")

// Append appends the envelope of the value to dst: the text that it was captured
// from, without white space between its tokens. A value that holds a file is refused
// with [ErrFile] and dst returned as it was, as in [Serializer.Append].
func (v Value) Append(dst []byte) ([]byte, error) {
	x := v.extras()
	if len(x.files) > 0 {
		return dst, fmt.Errorf("serializer: encode: %w", ErrFile)
	}
	dst = append(dst, '{')
	if v.json != nil {
		dst = append(dst, `"json":`...)
		dst = append(dst, v.json...)
	}
	if len(x.meta) > 0 {
		dst = append(dst, `,"meta":`...)
		dst = append(dst, x.meta...)
	}
	return append(dst, '}'), nil
}
