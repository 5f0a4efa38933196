package sse

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

func benchMessages() map[string]*Message {
	meta := peer.EventMeta{ID: "x9-1234", HasID: true}
	return map[string]*Message{
		"short": {Event: peer.EventMessage, Data: []byte(`{"json":{"message":"Hello, world!"}}`), Meta: meta},
		"64KiB": {Event: peer.EventMessage, Data: []byte(`{"json":"` + strings.Repeat("Hello, world! ", 64<<10/14) + `"}`), Meta: meta},
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			buf, err := Append(nil, m)
			require.NoError(b, err)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = Append(buf[:0], m)
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			text := appendText(b, m)
			r := NewReader(&endless{text: text}, testLimit)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			w, err := NewWriter(io.Discard, nil, Options{})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(m); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, w.Close())
		})
	}
}

// Writing allocates nothing. Reading allocates only the message.
func TestAllocations(t *testing.T) {
	m := benchMessages()["short"]
	w, err := NewWriter(io.Discard, nil, Options{})
	require.NoError(t, err)
	require.NoError(t, w.Write(m))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = w.Write(m) }))
	require.NoError(t, w.Close())

	r := NewReader(&endless{text: appendText(t, m)}, testLimit)
	_, err = r.Next()
	require.NoError(t, err)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = r.Next() }), 3.0, "message, id, data")
}
