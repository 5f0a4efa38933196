package isolation_test

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// volume is the number of bytes that a client sends in a turn.
const volume = 21 << 20

// worst returns the messages of clients that make as much work as possible for the bytes
// that they send. None is a call that succeeds. Each message is as long as allowed.
func worst() map[string][]byte {
	const limit = 1 << 20
	fill := func(head, unit, tail string) []byte {
		n := (limit - len(head) - len(tail) - 1) / len(unit)
		return []byte(head + strings.Repeat(unit, n) + tail)
	}
	call := `{"i":"1","p":{"u":"/call","b":{"json":{"path":["none"],"input":`
	return map[string][]byte{
		"arrays":  fill(call+"[0", ",[]", "]}}}}"),
		"objects": fill(call+"[0", `,{"a":0}`, "]}}}}"),
		"meta":    fill(call+`[0]},"meta":[[3,"input"]`, `,[3,"input",0]`, "]}}}"),
		"headers": fill(`{"i":"1","p":{"u":"/call","h":{"a":""`, `,"b":""`, "}}}"),
		"escapes": fill(call+`"`, `\u00e9`, `"}}}}`),
		"noise":   bytes.Repeat([]byte("x"), limit),
	}
}

// dial opens a socket of another channel, for sending messages. Responses are read and
// dropped.
func (h *hall) dial(tb testing.TB) *websocket.Conn {
	tb.Helper()
	text, err := secret.Sign(context.Background(), &token.Payload{Channel: "other", ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(tb, err)
	address := "ws://" + h.address + "/?" + url.Values{"id": {"culprit"}, "token": {text}}.Encode()
	c, _, err := websocket.Dial(context.Background(), address, nil)
	require.NoError(tb, err)
	go func() {
		for {
			if _, _, err := c.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	return c
}

// sending sends volume bytes in messages during a turn.
func (h *hall) sending(tb testing.TB, message []byte) (cease func()) {
	tb.Helper()
	c := h.dial(tb)
	var sender sync.WaitGroup
	sender.Go(func() {
		for sent := 0; sent < volume; sent += len(message) {
			if c.Write(context.Background(), websocket.MessageText, message) != nil {
				return
			}
		}
	})
	return func() {
		_ = c.CloseNow()
		sender.Wait()
	}
}

// One socket sends the worst messages, in turns with one that sends as many bytes in small
// calls.
func BenchmarkHostileSocket(b *testing.B) {
	small := []byte(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["none"],"input":"` + strings.Repeat("x", 4000) + `"}}}}`)
	for name, message := range worst() {
		b.Run(name, func(b *testing.B) {
			h := open(b)
			h.turn(b) // warms up
			var behaved, hostile []time.Duration
			for b.Loop() {
				cease := h.sending(b, small)
				behaved = append(behaved, h.turn(b))
				cease()
				cease = h.sending(b, message)
				hostile = append(hostile, h.turn(b))
				cease()
			}
			good, bad := median(behaved), median(hostile)
			b.ReportMetric(good.Seconds()*1000, "p99-ms-behaved")
			b.ReportMetric(bad.Seconds()*1000, "p99-ms-hostile")
			b.ReportMetric(float64(bad)/float64(good), "hostile/behaved")
			b.Logf("behaved %v, hostile %v", behaved, hostile)
		})
	}
}
