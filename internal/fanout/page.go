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

// pageSize is about how many bytes of frames a page has.
const pageSize = 128 << 10

// page is a part of a channel's log as it is sent: read and encoded once, and shared by
// all readers that are there. It does not change once it is loaded.
type page struct {
	after, last uint64 // it has every record of the channel after after, up to last
	id          peer.ID
	frames      []byte // of the records, for id, one after the other
	records     []pageRecord
	everybody   bool  // every record is for everybody
	err         error // why there is nothing after last, if that could not be read
}

type pageRecord struct {
	seq      uint64
	suffix   int // in frames: where the suffix begins
	stop     int // in frames: where the frame ends
	time     time.Time
	audience *eventlog.Audience // nil: everybody
}

// add appends a record, given the suffix of its frame.
func (p *page) add(rec *eventlog.Record, suffix []byte) {
	p.frames = AppendFrame(p.frames, p.id, suffix)
	stop := len(p.frames)
	r := pageRecord{seq: rec.Seq, suffix: stop - len(suffix), stop: stop, time: rec.Time}
	if !rec.Everybody() {
		p.everybody = false
		r.audience = &eventlog.Audience{ // the log may use the record again
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

// pages are the pages of a channel that readers hold now. They are not kept here: a
// page is garbage as soon as no reader holds it.
//
// mu guards the fields and is never held while the log is read. A load is in loads,
// under the point after which its page begins, from its start until its page is in list;
// a page that was read with an error is never in list.
type pages struct {
	mu    sync.Mutex
	list  []weak.Pointer[page]
	loads map[uint64]*pageLoad
}

// pageLoad is a page that is being loaded. The other fields are set once done is closed.
type pageLoad struct {
	done chan struct{}
	page *page
	// abandoned is set if the connection that the page was loaded for has ended
	// meanwhile, so that others load it again.
	abandoned bool
}

// maxPages is the number of pages of a channel that are known at a time.
const maxPages = 64

// get returns a page that has what comes after a Seq, and loads it, with ctx, if there is
// none. Callers that want the same page at the same time wait for one of them to load it,
// each until its own ctx ends.
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

// begin returns a page that is known, or the load of one, and reports whether that is for
// the caller to do.
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
	if ps.loads[after] == l { // or it is of a log that was replaced
		delete(ps.loads, after)
		if l.page.err == nil {
			ps.keep(l.page)
		}
	}
	ps.mu.Unlock()
	close(l.done)
	return l.page
}

// reset forgets all pages, also those that are being loaded.
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
