package eventlog

import (
	"context"
	"fmt"
	"math"
)

var _ Newest = (*Memory)(nil)

// Newest implements [Newest]. Its replay reads a few records at a time.
func (m *Memory) Newest(ctx context.Context, channel string, p Position) (Replay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Replay{}, fmt.Errorf("eventlog: newest: %w", err)
	}
	known := p.IsZero() || p.Epoch == m.epoch && p.Seq <= m.history.last
	read := replay{log: m, ctx: ctx, channel: channel, cursor: math.MaxUint64, backwards: true}
	if known && !p.IsZero() {
		read.cursor = p.Seq
	}
	return Replay{Truncated: !known, Records: read.records}, nil
}

// before fills batch with the records before a Seq, newest first, and returns their number.
// A nil channel has no records.
func (c *channel) before(seq uint64, batch []*Record) (n int) {
	if c == nil {
		return 0
	}
	end := c.records.search(func(s *stored) bool { return s.Seq >= seq })
	for n < len(batch) && n < end {
		batch[n] = c.records.at(end - 1 - n).Record
		n++
	}
	return n
}
