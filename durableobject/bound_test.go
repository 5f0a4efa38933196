package durableobject_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// hostile is the server's end of a connection whose client sends frames repeatedly, and reads
// nothing unless reads is set.
type hostile struct {
	frames [][]byte // shared by all
	left   int      // how many of them, counted over again, are still to be sent
	next   int
	rest   []byte
	reads  bool
	closed chan struct{}
	once   sync.Once
}

func (h *hostile) Read(p []byte) (int, error) {
	if len(h.rest) == 0 && h.left > 0 {
		h.rest = h.frames[h.next%len(h.frames)]
		h.next++
		h.left--
	}
	if len(h.rest) == 0 {
		<-h.closed
		return 0, io.EOF
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

func (h *hostile) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 101")) || h.reads {
		return len(p), nil
	}
	<-h.closed
	return 0, io.ErrClosedPipe
}

func (h *hostile) TryWrite(p []byte) (int, error) {
	if h.reads {
		return len(p), nil
	}
	return 0, nil
}

func (h *hostile) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (*hostile) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*hostile) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*hostile) SetDeadline(time.Time) error      { return nil }
func (*hostile) SetReadDeadline(time.Time) error  { return nil }
func (*hostile) SetWriteDeadline(time.Time) error { return nil }

// frameOf returns a frame of a client, masked with zeros.
func frameOf(first byte, payload string) []byte {
	frame := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(len(payload)))
	return append(append(frame, 0, 0, 0, 0), payload...)
}

// hostilities returns the most expensive things that a client can do.
func hostilities(message int) map[string]*hostile {
	const final, text, ping = 0x80, 0x1, 0x9
	pad := strings.Repeat("x", message-500)
	each := func(n int, frame func(i int) string) (frames [][]byte) {
		for i := range n {
			frames = append(frames, frameOf(final|text, frame(i)))
		}
		return frames
	}
	call := `{"i":%d,"p":{"u":"/call","b":{"json":{"path":["%s"],"input":%s}}}}`
	var headers []string
	for i := range 200 {
		headers = append(headers, fmt.Sprintf(`"h%d":""`, i))
	}
	return map[string]*hostile{
		"idle":            {frames: nil},
		"calls":           {frames: each(1000, func(i int) string { return fmt.Sprintf(call, i, "tell", `{"text":"x"}`) }), left: 5000},
		"long answers":    {frames: each(100, func(i int) string { return fmt.Sprintf(call, i, "tell", `{"text":"`+pad[:8000]+`"}`) }), left: 500},
		"large calls":     {frames: each(20, func(i int) string { return fmt.Sprintf(call, i, "tell", `{"text":"`+pad+`"}`) }), left: 100},
		"calls that hang": {frames: each(1000, func(i int) string { return fmt.Sprintf(hangFrame, i) }), left: 5000, reads: true},
		"large calls that hang": {frames: each(20, func(i int) string {
			return fmt.Sprintf(`{"i":%d,"p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]}},"pad":"%s"}}`, i, pad)
		}), left: 100, reads: true},
		"calls that hang, aborted": {frames: append(each(1000, func(i int) string {
			return fmt.Sprintf(hangFrame, i)
		}), each(1000, func(i int) string { return fmt.Sprintf(`{"i":%d,"t":4}`, 999-i) })...), left: 10_000, reads: true},
		"bad calls": {frames: each(1000, func(i int) string { return fmt.Sprintf(`{"i":%d}`, i) }), left: 10_000},
		"many headers": {frames: each(50, func(i int) string {
			return fmt.Sprintf(`{"i":%d,"p":{"u":"/call","h":{%s},"b":{"json":{"path":["toolbox","hang"]}}}}`, i, strings.Join(headers, ","))
		}), left: 500, reads: true},
		"half a message":       {frames: [][]byte{frameOf(final|text, pad)[:message-600]}, left: 1},
		"half a fragment":      {frames: [][]byte{frameOf(text, pad[:message/2]), frameOf(0, pad[:message/3])}, left: 2},
		"empty fragments":      {frames: append([][]byte{frameOf(text, "")}, bytes.Repeat([]byte{0, 0x80, 0, 0, 0, 0}, 10_000)), left: 2},
		"pings":                {frames: [][]byte{frameOf(final|ping, strings.Repeat("x", 125))}, left: 10_000},
		"streams":              {frames: each(1000, func(i int) string { return callStream(strconv.Itoa(i), `{"events":0,"size":4000}`) }), left: 1000},
		"subscriptions":        {frames: each(1000, func(i int) string { return fmt.Sprintf(`{"i":%d,"p":{"u":"/subscribe"}}`, i) }), left: 5000, reads: true},
		"unread subscriptions": {frames: each(1000, func(i int) string { return fmt.Sprintf(`{"i":%d,"p":{"u":"/subscribe"}}`, i) }), left: 5000},
		"events that nobody reads": {frames: append(each(1, func(int) string {
			return `{"i":"1","p":{"u":"/subscribe","m":"GET","h":{"content-type":"text/event-stream"}}}`
		}), each(1, func(int) string { return `{"i":"1","t":3,"p":{"e":"message","d":1},"pad":"` + pad + `"}` })...), left: 60, reads: true},
	}
}

// held returns the maximum memory that a connection can make the namespace hold, as documented by
// the package: a message that is being read, the messages of calls, answers, what is being
// written, and goroutines.
func held(o *durableobject.Options) int64 {
	message := cmp.Or(o.MaxMessageBytes, durableobject.DefaultMaxMessageBytes)
	calls, streams := cmp.Or(o.MaxCalls, durableobject.DefaultMaxCalls), cmp.Or(o.MaxStreams, durableobject.DefaultMaxStreams)
	lag := cmp.Or(o.MaxLagBytes, durableobject.DefaultMaxLagBytes)
	return message + 2*message + int64(lag) + 128<<10 + 16<<10*int64(calls+streams+4)
}

// Whatever a client does, it costs no more than what the package documents. The test measures many
// connections at once: BOUND_CONNECTIONS sets their number.
//
//nolint:paralleltest // looks at the heap
func TestWhatAConnectionCanHold(t *testing.T) {
	for name, c := range map[string]struct {
		options     durableobject.Options
		connections int
	}{
		"small limits": {durableobject.Options{MaxMessageBytes: 64 << 10, MaxLagBytes: 64 << 10, MaxCalls: 16, MaxStreams: 8}, 10},
		"defaults":     {durableobject.Options{}, 50},
	} {
		if n, err := strconv.Atoi(os.Getenv("BOUND_CONNECTIONS")); err == nil {
			c.connections = n
		}
		bound := held(&c.options)
		message := int(cmp.Or(c.options.MaxMessageBytes, durableobject.DefaultMaxMessageBytes))
		c.options.StallTimeout = time.Hour
		for kind, client := range hostilities(message) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testHeld(t, &c.options, client, c.connections, bound) })
			})
		}
	}
}

func testHeld(t *testing.T, o *durableobject.Options, client *hostile, connections int, bound int64) {
	t.Helper()
	f := newFixture(t, *o, nil)
	release := make(chan struct{})
	f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error {
		<-release
		return nil
	}
	f.hooks.streamEnded = func(int) {}
	tok, upgrades := sign(t, "room"), f.upgrade()
	f.room("room")
	runtime.Gosched()
	before := inUse()
	var conns []*hostile
	for i := range connections {
		conn := &hostile{frames: client.frames, left: client.left, reads: client.reads, closed: make(chan struct{})}
		upgrade(t, upgrades, fmt.Sprint(i), tok, conn)
		conns = append(conns, conn)
	}
	synctest.Wait()
	grown := max(inUse()-before, 0) / int64(connections)
	t.Logf("%5d KiB for each of %d connections, of %d", grown>>10, connections, bound>>10)
	require.LessOrEqual(t, grown, bound)
	for _, conn := range conns {
		_ = conn.Close()
	}
	close(release)
	f.end()
}

// inUse returns the bytes of the heap and of all stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
