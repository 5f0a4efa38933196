package fanout

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"
	"weak"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

// pageSize is the approximate number of bytes of the frames of a page.
const pageSize = 128 << 10

// page is an encoded part of a channel's log. It is read and encoded once and shared by all
// readers at that position. It is immutable once it is loaded.
type page struct {
	after, last uint64 // it has all records of the channel after after, up to last
	id          peer.ID
	frames      []byte // of the records, for id, one after the other
	records     []pageRecord
	everybody   bool  // all records are for everybody
	err         error // the error of reading the records after last, or nil
}

type pageRecord struct {
	seq      uint64
	suffix   int // offset in frames of the suffix
	stop     int // offset in frames of the end of the frame
	time     time.Time
	audience *eventlog.Audience // nil means everybody
}

// add appends a record, whose frame has this suffix.
func (p *page) add(rec *eventlog.Record, suffix []byte) {
	p.frames = AppendFrame(p.frames, p.id, suffix)
	stop := len(p.frames)
	r := pageRecord{seq: rec.Seq, suffix: stop - len(suffix), stop: stop, time: rec.Time}
	if !rec.Everybody() {
		p.everybody = false
		r.audience = &eventlog.Audience{ // a copy, because the log may reuse the record
			Tags: slices.Clone(rec.Tags), Targets: slices.Clone(rec.Targets), Excludes: slices.Clone(rec.Excludes),
		}
	}
	p.records = append(p.records, r)
	p.last = rec.Seq
}

// between returns the indexes of the records after seq, up to limit.
func (p *page) between(seq, limit uint64) (from, to int) {
	after := func(seq uint64) int {
		return sort.Search(len(p.records), func(i int) bool { return p.records[i].seq > seq })
	}
	return after(seq), after(limit)
}

// framesOf returns the frames of the records from i up to, but without, end.
func (p *page) framesOf(i, end int) []byte {
	start := 0
	if i > 0 {
		start = p.records[i-1].stop
	}
	return p.frames[start:p.records[end-1].stop]
}

// suffixOf returns the suffix of a record's frame.
func (p *page) suffixOf(i int) []byte { return p.frames[p.records[i].suffix:p.records[i].stop] }

// pages finds the pages of a channel that readers currently use, without keeping them in memory: a
// page is garbage as soon as no reader uses it.
//
// mu guards the fields and is never held while the log is read. A load is in loads, by the Seq
// after which its page begins, from its start until its page is in list. A page that was read
// with an error is never in list.
type pages struct {
	mu    sync.Mutex
	list  []weak.Pointer[page]
	loads map[uint64]*pageLoad
}

// pageLoad is a page that is being loaded. The other fields are set when done is closed.
type pageLoad struct {
	done chan struct{}
	page *page
	// abandoned is set if the connection that loaded the page has ended, so that others
	// must load it again.
	abandoned bool
}

// maxPages is the maximum length of pages.list.
const maxPages = 64

// get returns a page with the records after a Seq. If there is none, it loads the page, with ctx.
// If several callers need the same page at the same time, one loads it and the others wait, each
// until its ctx ends.
func (ps *pages) get(ctx context.Context, after uint64, load func() *page) (*page, error) {
	for {
		known, l, mine := ps.begin(after)
		switch {
		case known != nil:
			return known, nil
		case mine:
			return ps.load(ctx, after, l, load), nil
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !l.abandoned {
			return l.page, nil
		}
	}
}

// begin returns a known page, or the load of one. mine is set if the caller must load it.
func (ps *pages) begin(after uint64) (known *page, l *pageLoad, mine bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if known = ps.find(after); known != nil {
		return known, nil, false
	}
	if l = ps.loads[after]; l != nil {
		return nil, l, false
	}
	l = &pageLoad{done: make(chan struct{})}
	if ps.loads == nil {
		ps.loads = map[uint64]*pageLoad{}
	}
	ps.loads[after] = l
	return nil, l, true
}

func (ps *pages) load(ctx context.Context, after uint64, l *pageLoad, load func() *page) *page {
	l.page = load()
	l.abandoned = l.page.err != nil && ctx.Err() != nil

	ps.mu.Lock()
	if ps.loads[after] == l { // otherwise it is of a log that has been replaced
		delete(ps.loads, after)
		if l.page.err == nil {
			ps.keep(l.page)
		}
	}
	ps.mu.Unlock()
	close(l.done)
	return l.page
}

// reset forgets all pages, including those that are being loaded.
func (ps *pages) reset() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.list, ps.loads = nil, nil
}

// find is called with mu held.
func (ps *pages) find(after uint64) *page {
	for _, known := range slices.Backward(ps.list) {
		if p := known.Value(); p != nil && p.after <= after && after < p.last {
			return p
		}
	}
	return nil
}

// keep is called with mu held.
func (ps *pages) keep(p *page) {
	ps.list = slices.DeleteFunc(ps.list, func(known weak.Pointer[page]) bool { return known.Value() == nil })
	if len(ps.list) == maxPages {
		ps.list = slices.Delete(ps.list, 0, 1)
	}
	ps.list = append(ps.list, weak.Make(p))
}
