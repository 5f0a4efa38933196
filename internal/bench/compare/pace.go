//go:build linux

package main

import (
	"encoding/binary"
	"io"
	"sync/atomic"
)

// step is the number of events between two messages to the publisher.
const step = 8

// pace tracks the slowest socket. It is the body of the request to publish: the number of
// events that all sockets have received, each time that it has grown by step.
type pace struct {
	sockets int64
	first   int64          // the number of the first event
	passed  []atomic.Int64 // how many sockets have received the last event of each step
	counts  chan int64     // has capacity for all counts
	sent    int64          // to the publisher
	over    chan struct{}  // closed when the publisher needs no further counts
}

func newPace(sockets, first, events int64) *pace {
	steps := events / step
	return &pace{
		sockets: sockets, first: first, passed: make([]atomic.Int64, steps),
		counts: make(chan int64, steps), over: make(chan struct{}),
	}
}

// moved records that the next event of a socket has advanced from one number to another.
func (p *pace) moved(from, to int64) {
	for i := (from - p.first) / step; i < min((to-p.first)/step, int64(len(p.passed))); i++ {
		if p.passed[i].Add(1) == p.sockets {
			p.counts <- p.first + (i+1)*step
		}
	}
}

// Read returns a count as eight bytes, most significant first.
func (p *pace) Read(b []byte) (int, error) {
	select {
	case <-p.over:
		return 0, io.EOF
	case count := <-p.counts:
		p.sent = max(p.sent, count)
		binary.BigEndian.PutUint64(b[:8], uint64(p.sent))
		return 8, nil
	}
}
