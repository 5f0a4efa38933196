package serializer_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

type author struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

type message struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	Text   string   `json:"text"`
	Tags   []string `json:"tags"`
	N      float64  `json:"n"`
	Author author   `json:"author"`
}

// plainMessage has only plain JSON values, like most events of a chat.
var plainMessage = message{
	ID: 1234567, Name: "general", N: 12.5,
	Text:   "Hello, world! This is a text of a usual length, with \"quotes\" and a <tag>.",
	Tags:   []string{"tag1", "tag2", "tag3"},
	Author: author{ID: "user-123", Name: "Žofie", Role: "admin"},
}

type rawMessage struct {
	JSON message `json:"json"`
}

// BenchmarkEncode and BenchmarkDecode compare with encoding/json on the same envelope.
// Here the serializer may cost at most 1.3 times as much.
func BenchmarkEncode(b *testing.B) {
	b.Run("serializer", func(b *testing.B) {
		s := new(serializer.Serializer)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Append(nil, &plainMessage); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		v := rawMessage{plainMessage}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	s := new(serializer.Serializer)
	wire, err := s.Append(nil, plainMessage)
	require.NoError(b, err)
	b.Run("serializer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m message
			if err := s.Decode(wire, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m rawMessage
			if err := json.Unmarshal(wire, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeAny(b *testing.B) {
	s := new(serializer.Serializer)
	wire, err := s.Append(nil, plainMessage)
	require.NoError(b, err)
	b.Run("serializer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := s.Decode(wire, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := json.Unmarshal(wire, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestAllocations checks that plain payloads need no more allocations than with
// encoding/json.
func TestAllocations(t *testing.T) {
	s := new(serializer.Serializer)
	wire, err := s.Append(nil, &plainMessage)
	require.NoError(t, err)

	buf := make([]byte, 0, 1024)
	encode := 1.0
	for range 5 { // the race detector makes pools drop some values
		encode = min(encode, testing.AllocsPerRun(100, func() { _, err = s.Append(buf, &plainMessage) }))
		require.NoError(t, err)
	}
	require.Zero(t, encode, "into a buffer that is large enough")

	ours := testing.AllocsPerRun(100, func() { err = s.Decode(wire, new(message)) })
	require.NoError(t, err)
	theirs := testing.AllocsPerRun(100, func() { err = json.Unmarshal(wire, new(rawMessage)) })
	require.NoError(t, err)
	require.LessOrEqual(t, ours, theirs)
}
