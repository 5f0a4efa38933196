//go:build linux

package main

import (
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/bench/host"
)

// Every scenario, much smaller, with both servers in this process.
func TestScenarios(t *testing.T) {
	t.Parallel()
	small := map[string]scenario{
		"burst":  {sockets: 5, events: 300, run: fanOut},
		"window": {sockets: 5, events: 512, window: 64, run: fanOut},
		"paced":  {sockets: 5, events: 20, rate: 1000, run: fanOut},
		"resume": {sockets: 5, events: 500, run: resume},
		"idle":   {sockets: 5, run: idle},
	}
	for name, s := range small {
		for _, server := range []string{ours, theirs} {
			t.Run(name+"/"+server, func(t *testing.T) {
				t.Parallel()
				handler, err := newServer(server)
				require.NoError(t, err)
				srv := httptest.NewServer(handler)
				t.Cleanup(srv.Close)
				addr := strings.TrimPrefix(srv.URL, "http://")
				f, err := measure(t.Context(), &s, server, &contestant{hello: host.Hello{WS: addr, HTTP: addr, PID: os.Getpid()}})
				require.NoError(t, err)
				if name != "idle" {
					require.Zero(t, f.deliveries%(int64(s.sockets)*s.events))
					require.Positive(t, f.deliveries)
					require.Positive(t, f.wall)
					require.Positive(t, f.cpu)
				}
			})
		}
	}
}

// A run that is not complete and in order returns an error.
func TestOrderIsChecked(t *testing.T) {
	t.Parallel()
	event := func(n string) string {
		return string(textFrameFromServer(`{"i":1,"t":3,"p":{"d":{"json":{"bseq":100000000` + n + `,"pad":"` + strings.Repeat("x", eventSize) + `"}}}}`))
	}
	answer := string(textFrameFromServer(`{"i":1,"p":{"h":{"content-type":"text/event-stream"}}}`))
	for name, test := range map[string]struct{ sent, fails string }{
		"in order":    {sent: answer + event("0") + event("1") + event("2")},
		"none":        {sent: answer, fails: "the next event of socket 0 is 0 instead of 3"},
		"one missing": {sent: answer + event("0") + event("2"), fails: "received event 2 instead of 1"},
		"twice":       {sent: answer + event("0") + event("0"), fails: "received event 0 instead of 1"},
		"last":        {sent: answer + event("0") + event("1"), fails: "the next event of socket 0 is 2 instead of 3"},
		"one more":    {sent: answer + event("0") + event("1") + event("2") + event("3"), fails: "the next event of socket 0 is 4 instead of 3"},
		"refused":     {sent: string(textFrameFromServer(`{"i":1,"p":{"s":401}}`)), fails: `not subscribed: {"i":1,"p":{"s":401}}`},
		"closed":      {sent: answer + "\x88\x02\x03\xf4", fails: `closed by the server: "\x03\xf4"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for size := 1; size <= len(test.sent); size += 50 { // bytes that arrive at once
				err := feed(test.sent, size)
				if test.fails == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, test.fails)
				}
			}
		})
	}
}

func feed(sent string, size int) error {
	c := newCrowd(durableIterator{}, netip.AddrPort{})
	s := &socket{crowd: c}
	c.sockets = []*socket{s}
	c.expect(4, nil)
	for len(sent) > 0 {
		n := min(size, len(sent))
		if err := s.take([]byte(string(s.rest) + sent[:n])); err != nil {
			return err
		}
		sent = sent[n:]
	}
	return c.check(3)
}

func textFrameFromServer(message string) []byte {
	frame := textFrame(message)
	return append([]byte{frame[0], frame[1] &^ maskBit, frame[2], frame[3]}, frame[8:]...)
}

// Centrifuge puts several messages into a frame.
func TestMessagesShareAFrame(t *testing.T) {
	t.Parallel()
	push := func(n string) string {
		return `{"push":{"channel":"bench","pub":{"data":{"bseq":100000000` + n + `,"pad":"` + strings.Repeat("x", eventSize) + `"},"offset":7}}}`
	}
	s := &socket{crowd: newCrowd(centrifugeJSON{}, netip.AddrPort{}), subscribed: true}
	arrived, err := s.message([]byte(push("0") + "\n" + push("1") + "\n" + push("2")))
	require.NoError(t, err)
	require.Equal(t, 3, arrived)
}

func TestPace(t *testing.T) {
	t.Parallel()
	p := newPace(2, 20, 32)
	p.moved(20, 29)
	p.moved(20, 27)
	require.Empty(t, p.counts)
	p.moved(27, 44)
	require.Len(t, p.counts, 1) // both sockets have received 28 events, only one 44
	p.moved(29, 52)
	require.Len(t, p.counts, 3)
	b := make([]byte, 8)
	n, err := p.Read(b)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 28}, b[:n])
}

func TestTable(t *testing.T) {
	t.Parallel()
	var x table
	for _, wall := range []time.Duration{4 * time.Second, 2 * time.Second, 5 * time.Second} {
		x.add("burst", pair{
			figures{deliveries: 1000, wall: time.Second, cpu: time.Second, published: 10, publishing: time.Second},
			figures{deliveries: 1000, wall: wall, cpu: 2 * wall, published: 10, publishing: wall},
		})
	}
	x.add("idle", pair{figures{idle: 10}, figures{idle: 40}})
	require.Equal(t, `| this library / centrifuge | deliveries/s | CPU per delivery | publish call | memory per socket |
| --- | --- | --- | --- | --- |
| burst | 4 (2–5) | 0.12 (0.1–0.25) | 0.25 (0.2–0.5) | – |
| idle | – | – | – | 0.25 (0.25–0.25) |
`, x.String())
}
