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
	read := backwardReplay{log: m, ctx: ctx, channel: channel, cursor: math.MaxUint64}
	if known && !p.IsZero() {
		read.cursor = p.Seq
	}
	return Replay{Truncated: !known, Records: read.records}, nil
}

// backwardReplay reads the records of a channel from its end.
type backwardReplay struct {
	log     *Memory
	ctx     context.Context
	channel string
	cursor  uint64 // Seq of the last record that was yielded
}

// records implements [Replay.Records].
func (r *backwardReplay) records(yield func(*Record, error) bool) {
	var batch [replayBatch]*Record
	for {
		n, err := r.next(batch[:])
		if err != nil {
			yield(nil, fmt.Errorf("eventlog: replay: %w", err))
			return
		}
		if n == 0 {
			return
		}
		for _, record := range batch[:n] {
			r.cursor = record.Seq
			if !yield(record, nil) {
				return
			}
		}
	}
}

// next fills batch with the records before the cursor, newest first, and returns their
// number.
func (r *backwardReplay) next(batch []*Record) (n int, err error) {
	m := r.log
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(r.ctx); err != nil {
		return 0, err
	}
	m.expire(r.channel)
	c := m.history.channels[r.channel]
	if c == nil {
		return 0, nil
	}
	end := c.records.search(func(s *stored) bool { return s.Seq >= r.cursor })
	for n < len(batch) && n < end {
		batch[n] = c.records.at(end - 1 - n).Record
		n++
	}
	return n, nil
}
