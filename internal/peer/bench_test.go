package peer

import (
	"encoding/json"
	"net/http"
	"testing"
)

const benchRequest = `{"i":"1a","p":{"u":"/call","b":{"json":{"path":["routerClient","echo"],"input":{"message":"Hello, world!"}}},"h":{"x-trace":"0af7651916cd43dd8448eb211c80319c"}}}`

func BenchmarkDecodeRequest(b *testing.B) {
	f := textFrame(benchRequest)
	b.SetBytes(int64(len(f.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRequest(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	f := textFrame(`{"i":"1","t":3,"p":{"e":"message","d":{"json":{"message":"Hello, world!"}},"m":{"id":"x9-1234"}}}`)
	b.SetBytes(int64(len(f.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeResponse(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeResponse(b *testing.B) {
	r := &Response{ID: ID(`"1a"`), Body: Body{JSON: json.RawMessage(`{"json":{"message":"Hello, world!"}}`)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeResponse(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeResponseWithHeader(b *testing.B) {
	r := &Response{ID: ID(`"1a"`), Header: http.Header{"Content-Type": {"text/event-stream"}, "X-Position": {"x9-1234"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeResponse(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJoinEvent(b *testing.B) {
	meta := AppendEventMeta(nil, EventMeta{ID: "x9-1234", HasID: true})
	rest := AppendEventRest(nil, EventMessage, []byte(`{"json":{"message":"Hello, world!"}}`), meta)
	id := ID(`"1a"`)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = JoinEvent(buf[:0], id, rest)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := &Event{ID: ID(`"1a"`), Kind: EventMessage, Data: json.RawMessage(`{"json":{"message":"Hello, world!"}}`), Meta: EventMeta{ID: "x9-1234", HasID: true}}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], e)
	}
}
