package fanout

import (
	"context"
	"errors"
	"iter"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Limits of a [Query].
const (
	// MaxPastBytes limits the size of the returned records, unless a single one is larger.
	MaxPastBytes = 1 << 20
	// MaxPastScan limits the number of records that are read, including those that are not
	// returned, and MaxPastScanBytes their size, except that of the last one.
	MaxPastScan      = 10_000
	MaxPastScanBytes = 8 << 20
)

// Newest is the value of Query.Before for reading from the end.
const Newest = "newest"

// Query selects a page of the records that a log retains of a channel.
type Query struct {
	// After is the event id after which the page begins, if it is read forwards, or empty for
	// the beginning. It is ignored if Before is set.
	After string
	// Before is the event id before which the page begins, if it is read backwards, or Newest.
	Before string
	// Limit is the maximum number of returned records. It must be positive.
	Limit int
	// Includes selects records by their audience. Nil selects all.
	Includes func(*eventlog.Audience) bool
}

// Past is a page of a channel's history.
type Past struct {
	// Records are in the order in which they were read. They may be kept.
	Records []*eventlog.Record
	// Next is the value of After or Before for the next page, or empty if there is none.
	Next string
	// Truncated is set if records after After are missing, or may be, or if the log does not
	// know Before. The page then begins with the oldest or the newest record.
	Truncated bool
}

// ReadPast reads a page of the records that a log retains of a channel. It needs no Channel. A
// page ends with the last record, after Limit records, and at the limits above.
func ReadPast(ctx context.Context, log eventlog.Log, channel string, q Query) (Past, error) {
	if q.Before != "" {
		return readBackwards(ctx, log, channel, q)
	}
	return readForwards(ctx, log, channel, q)
}

func readBackwards(ctx context.Context, log eventlog.Log, channel string, q Query) (Past, error) {
	var from eventlog.Position // zero means the end
	if q.Before != Newest {
		if from = eventlog.PositionOf(q.Before); from.IsZero() {
			return Past{}, nil // there are no records before it
		}
	}
	replay, err := eventlog.ReadNewest(ctx, log, channel, from)
	if err != nil {
		return Past{}, err
	}
	p := pastReader{Query: q, Past: Past{Truncated: replay.Truncated}}
	if err := p.read(replay.Records); err != nil && !errors.Is(err, eventlog.ErrTrimmed) { // if trimmed, no earlier records are left
		return Past{}, err
	}
	return p.Past, nil
}

// trimmedTries is how often reading a page is tried if its first record is dropped at that moment.
const trimmedTries = 10

func readForwards(ctx context.Context, log eventlog.Log, channel string, q Query) (Past, error) {
	var from eventlog.Position // zero means the beginning
	if q.After != "" {
		from = eventlog.PositionOf(q.After)
	}
	for try := 1; ; try++ {
		replay, err := log.After(ctx, channel, from)
		if err != nil {
			return Past{}, err
		}
		p := pastReader{Query: q, Past: Past{Truncated: replay.Truncated}}
		err = p.read(replay.Records)
		switch {
		case err == nil:
			return p.Past, nil
		case !errors.Is(err, eventlog.ErrTrimmed), p.scanned == 0 && try == trimmedTries:
			return Past{}, err
		case p.scanned > 0: // the page after this one is truncated
			p.Next = p.last.String()
			return p.Past, nil
		}
	}
}

// pastReader collects the records of a page.
type pastReader struct {
	Query
	Past

	last         eventlog.Position // of the last record that was read
	scanned      int
	scannedBytes int
	bytes        int // of Records
}

// read reads records until the page is full, and sets Next unless there are no more.
func (p *pastReader) read(records iter.Seq2[*eventlog.Record, error]) error {
	for rec, err := range records {
		if err != nil {
			return err
		}
		if !p.take(rec) {
			p.Next = p.last.String()
			return nil
		}
		p.last = rec.Position()
		p.scanned++
		p.scannedBytes += recordBytes(rec)
		if p.scanned == MaxPastScan || p.scannedBytes >= MaxPastScanBytes {
			p.Next = p.last.String()
			return nil
		}
	}
	return nil
}

// take adds a record if it is selected. It returns false if the page is full.
func (p *pastReader) take(rec *eventlog.Record) bool {
	if len(p.Records) == p.Limit {
		return false
	}
	if p.Includes != nil && !p.Includes(&rec.Audience) {
		return true
	}
	size := recordBytes(rec)
	if p.bytes+size > MaxPastBytes && len(p.Records) > 0 {
		return false
	}
	p.bytes += size
	p.Records = append(p.Records, rec.Clone())
	return true
}

// recordBytes returns the size of a record's content.
func recordBytes(rec *eventlog.Record) int {
	n := recordOverhead + len(rec.Data) + len(rec.Meta)
	for _, tag := range rec.Tags {
		n += 16 + len(tag)
	}
	for _, list := range [...][]eventlog.Recipient{rec.Targets, rec.Excludes} {
		for _, to := range list {
			n += 32 + len(to.Subject) + len(to.ID)
		}
	}
	return n
}
