package rpc

import (
	"io"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// Values that JSON does not have. They are what a message gives where it is
// decoded into an any, along with time.Time, *big.Int, *url.URL, NaN and
// [*File], and they may stand anywhere in what is sent.
type (
	// Undefined is JavaScript's undefined. As a member of an object it is left
	// out when it is sent.
	Undefined = serializer.Undefined
	// InvalidDate is a JavaScript Date that holds no time.
	InvalidDate = serializer.InvalidDate
	// RegExp is a JavaScript regular expression. It is not compiled.
	RegExp = serializer.RegExp
	// Set is a JavaScript Set, its elements in order of insertion. A Go
	// map[K]struct{} is sent as one and can be decoded from one.
	Set = serializer.Set
	// Map is a JavaScript Map, its entries in order of insertion. A Go map whose
	// keys are not texts is sent as one and can be decoded from one.
	Map = serializer.Map
	// MapEntry is an entry of a Map.
	MapEntry = serializer.MapEntry
	// Value is an encoded value that waits to be decoded. It may stand in any Go
	// type: decoding captures that part of the message, encoding puts it back.
	Value = serializer.Value
)

// File is a JavaScript File or Blob. As *File it may stand anywhere in an input, an
// output, or the data of an error, but not in an event: streams of events cannot
// carry files. Name and Type are what the sender says; the Name may hold anything and
// is never to be used as a path. Open gives the content, Bytes reads it as a whole,
// and Size is its length, which is known for every file that was received.
//
// Over HTTP the content is read as it is sent, and a [Handler] puts what it receives
// into temporary files beyond 1 MiB for a request. These are removed when the handler
// of the call has returned and its output was sent: what is to live longer has to be
// read or copied before. A [Link] has the files of an output in memory, and over a
// socket a message is in memory with its files on both sides.
type File = serializer.File

// NewFile makes a file of content in memory, which must not be changed from then on.
// A file without a name is a Blob, an empty type means unknown.
func NewFile(name, typ string, content []byte) *File {
	return serializer.NewFile(name, typ, content)
}

// NewFileFunc makes a file of content that open gives, which is read as it is sent,
// and closed. Open is called each time that the content is needed, as for a retry,
// and may be called concurrently. The size is in bytes, negative if it is not known;
// content of another size fails to be sent.
func NewFileFunc(name, typ string, size int64, open func() (io.ReadCloser, error)) *File {
	return serializer.NewFileFunc(name, typ, size, open)
}

// Void is the input or output of a procedure that has none. It is sent as
// undefined, and whatever is received for it is ignored.
type Void struct{}
