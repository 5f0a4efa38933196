package durableobject

import (
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

// page is a stretch of a channel's log as it is sent: read and encoded once, and
// shared by all sockets that read there. It does not change once it is loaded.
type page struct {
	after, last uint64 // it has every record of the channel behind after, up to last
	id          peer.ID
	frames      []byte // of the records, under id, one behind the other
	records     []pageRecord
	everybody   bool  // every record is for everybody
	err         error // why there is nothing behind last, if that could not be read
}

type pageRecord struct {
	seq      uint64
	rest     int // in frames: where begins what follows the id
	stop     int // in frames: where the frame ends
	time     time.Time
	audience *eventlog.Audience // nil: everybody
}

// includes tells whether a record is for a socket.
func (r *pageRecord) includes(ws *Websocket) bool {
	return r.audience == nil || r.audience.Includes(ws.tags, ws.recipient)
}

// add puts a record behind the others, given what follows the id in its frame.
func (p *page) add(rec *eventlog.Record, rest []byte) {
	p.frames = appendEvent(p.frames, p.id, rest)
	stop := len(p.frames)
	r := pageRecord{seq: rec.Seq, rest: stop - len(rest), stop: stop, time: rec.Time}
	if !rec.Everybody() {
		p.everybody = false
		r.audience = &eventlog.Audience{ // the log may use the record again
			Tags: slices.Clone(rec.Tags), Targets: slices.Clone(rec.Targets), Excludes: slices.Clone(rec.Excludes),
		}
	}
	p.records = append(p.records, r)
	p.last = rec.Seq
}

// between gives the places of the records behind seq, up to limit.
func (p *page) between(seq, limit uint64) (from, to int) {
	behind := func(seq uint64) int {
		return sort.Search(len(p.records), func(i int) bool { return p.records[i].seq > seq })
	}
	return behind(seq), behind(limit)
}

// start is where the frame of a record begins.
func (p *page) start(i int) int {
	if i == 0 {
		return 0
	}
	return p.records[i-1].stop
}

// restOf gives what follows the id in the frame of a record.
func (p *page) restOf(i int) []byte { return p.frames[p.records[i].rest:p.records[i].stop] }

// pages are the pages of a channel that are being read. It does not keep them: a
// page is garbage as soon as no socket reads it.
//
// mu guards the fields, for a moment only. A load is in loads, under the point where
// its page begins, from when it begins until its page is in list, where it is not if
// it was read with an error.
type pages struct {
	mu    sync.Mutex
	list  []weak.Pointer[page]
	loads map[uint64]*pageLoad
}

// pageLoad is a page that somebody is loading. It is there once done is closed.
type pageLoad struct {
	done chan struct{}
	page *page
}

// maxPages is how many pages of a channel are known at a time.
const maxPages = 64

// get gives a page that has what is behind after, loading it if there is none. Those
// who want the same page at the same time wait for one of them to load it.
func (ps *pages) get(after uint64, load func() *page) *page {
	ps.mu.Lock()
	if p := ps.find(after); p != nil {
		ps.mu.Unlock()
		return p
	}
	if l := ps.loads[after]; l != nil {
		ps.mu.Unlock()
		<-l.done
		return l.page
	}
	l := &pageLoad{done: make(chan struct{})}
	if ps.loads == nil {
		ps.loads = map[uint64]*pageLoad{}
	}
	ps.loads[after] = l
	ps.mu.Unlock()

	l.page = load()

	ps.mu.Lock()
	delete(ps.loads, after)
	if l.page.err == nil {
		ps.keep(l.page)
	}
	ps.mu.Unlock()
	close(l.done)
	return l.page
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

// page gives what the log has behind from, and the Seq that from stands for. If some
// of that is gone the error is ErrTrimmed, or, with mayMiss, after is where what is
// left begins. The page may begin before after, and end behind limit.
func (ch *channel) page(from eventlog.Position, limit uint64, mayMiss bool) (p *page, after uint64, err error) {
	// Asked each time, so that nothing is sent from a page that the log has dropped since.
	replay, err := ch.core.log.After(ch.core.ctx, ch.name, from)
	if err != nil {
		return nil, 0, err
	}
	after = from.Seq
	if replay.Truncated || from.IsZero() {
		if !mayMiss {
			return nil, 0, eventlog.ErrTrimmed
		}
		if after, err = before(replay, limit); err != nil {
			return nil, 0, err
		}
		if replay, err = ch.core.log.After(ch.core.ctx, ch.name, from); err != nil {
			return nil, 0, err
		}
	}
	if after >= limit {
		return &page{last: limit}, after, nil
	}
	p = ch.pages.get(after, func() *page { return ch.load(replay, after, limit) })
	return p, after, nil
}

// before gives the Seq before the first record of a replay: limit if it has none.
func before(replay eventlog.Replay, limit uint64) (uint64, error) {
	for rec, err := range replay.Records {
		if err != nil {
			return 0, err
		}
		return rec.Seq - 1, nil
	}
	return limit, nil
}

// load reads the page behind after.
func (ch *channel) load(replay eventlog.Replay, after, limit uint64) *page {
	p := &page{after: after, last: after, id: ch.sharedID(), everybody: true}
	var rest []byte
	for rec, err := range replay.Records {
		if err != nil {
			p.err = err
			return p
		}
		rest = appendRest(rest[:0], rec)
		if p.add(rec, rest); len(p.frames) >= pageSize {
			return p
		}
	}
	p.last = max(p.last, limit) // the log has nothing more up to there
	return p
}
