package filelog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// After implements [eventlog.Log]. The records are read as they are yielded. If
// their bytes are damaged or their file is missing, the replay ends with [ErrDamaged]. From
// then on positions before such a record are truncated, and replays from there leave it
// out. All records use the same memory, so each is valid only until the next.
func (l *Log) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	v, err := l.view(channel, p)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return eventlog.Replay{}, fmt.Errorf("filelog: after: %w", err)
	}
	if p.IsZero() || v.truncated {
		return eventlog.Replay{Truncated: !p.IsZero(), Records: v.all(ctx)}, nil
	}
	expired, err := v.beginsExpired(ctx)
	if err != nil {
		return eventlog.Replay{}, fmt.Errorf("filelog: after: %w", err)
	}
	return eventlog.Replay{Truncated: expired, Records: v.all(ctx)}, nil
}

// view is a snapshot of where the records of a channel are.
type view struct {
	log       *Log
	channel   string
	from      uint64 // only records after this Seq are yielded
	limit     uint64 // when reading backwards, only records before this Seq
	cutoff    int64  // only records at or after this time
	truncated bool
	lost      uint64 // records up to it that cannot be read are left out
	runs      []runRef
	live      []ref
	segment   *segment // of live
	liveBase  uint64
	liveEnd   int64
	liveFirst int64 // time of the first record of that segment
	epochs    epochs
}

func (l *Log) view(name string, p eventlog.Position) (view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.closed.Load() {
		return view{}, eventlog.ErrClosed
	}
	c := l.index.channels[name]
	found := l.found.Load()
	lost := max(l.index.lost, found)
	floor := max(l.index.floor, lost)
	if c != nil {
		floor = max(c.floor, lost)
	}
	v := view{log: l, channel: name, from: p.Seq, cutoff: l.cutoff(), epochs: l.epochs}
	if v.truncated = p.Seq < floor || !l.epochs.knows(p.Epoch, p.Seq, l.head); v.truncated {
		v.from = 0
		if !p.IsZero() { // else nothing shows the hole
			v.lost = found
		}
	}
	if c == nil || c.last <= v.from {
		return v, nil
	}
	v.runs, v.live = c.runs, c.live
	for len(v.runs) > 0 && v.runs[0].last <= v.from {
		v.runs = v.runs[1:]
	}
	if len(v.live) > 0 {
		v.segment, v.liveBase, v.liveEnd, v.liveFirst = l.live, l.live.base, l.live.dataEnd, l.live.firstTime
	}
	return v, nil
}

// liveLast returns the Seq of the channel's last record in the active segment, which has one.
func (v *view) liveLast() uint64 { return v.liveBase + uint64(v.live[len(v.live)-1].seq) }

// beginsExpired reports whether the first record has expired. Since times never decrease,
// no record has expired if the first has not.
func (v *view) beginsExpired(ctx context.Context) (bool, error) {
	switch {
	case len(v.runs) > 0 && v.runs[0].seg.firstTime >= v.cutoff,
		len(v.runs) == 0 && (len(v.live) == 0 || v.liveFirst >= v.cutoff):
		return false, nil
	case len(v.runs) > 0 && v.runs[0].seg.lastTime < v.cutoff:
		return true, nil
	}
	first := *v
	first.cutoff = 0
	for r, err := range first.all(ctx) {
		if errors.Is(err, eventlog.ErrTrimmed) {
			return true, nil
		}
		return err == nil && r.Time.UnixNano() < v.cutoff, err
	}
	return false, nil
}

// all yields the records of the view.
func (v *view) all(ctx context.Context) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		r := &reader{view: *v, ctx: ctx, yield: yield}
		for _, run := range v.runs {
			if run.seg.lastTime < v.cutoff {
				continue
			}
			if !r.part(run.seg.base, run.seg.dataEnd, run.last, func() error { return r.sealed(run) }) {
				return
			}
		}
		if len(v.live) > 0 {
			r.part(v.liveBase, v.liveEnd, v.liveLast(), func() error { return r.refs(v.live) })
		}
	}
}

// errStop ends a replay whose caller has stopped iterating.
var errStop = errors.New("stopped")

// reader reads a view from segment to segment.
type reader struct {
	view
	ctx    context.Context
	yield  func(*eventlog.Record, error) bool
	file   file
	base   uint64
	window window // of the records
	list   window // of the list of refs
	stored stored
	mem    scratch
	epoch  epoch // of the latest record
	// expired is a recent value of Log.cutoff.
	expired   int64
	count     int
	backwards bool // the replay then ends without an error at records that were dropped
}

// part opens a segment, reads from it up to the record last, and closes it. It reports
// whether to continue with the next segment.
func (r *reader) part(base uint64, end int64, last uint64, read func() error) bool {
	name := segmentName(base)
	r.base = base
	f, err := r.open(name, last)
	if f != nil {
		r.file = f
		r.window.reset(f, end)
		err = read()
		_ = f.Close() // nothing was written
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, errStop):
		return false
	case base <= r.log.dropped.Load() && r.ctx.Err() == nil && !errors.Is(err, eventlog.ErrClosed):
		err = eventlog.ErrTrimmed // the file may have been truncated while it was read
	}
	if r.backwards && errors.Is(err, eventlog.ErrTrimmed) {
		return false
	}
	r.yield(nil, fmt.Errorf("filelog: read %s: %w", name, err))
	return false
}

// open opens a segment. There is no file for one that is missing and may be left out.
func (r *reader) open(name string, last uint64) (file, error) {
	f, err := r.log.dir.Open(name)
	switch {
	case err == nil:
		return f, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case r.base <= r.log.dropped.Load():
		return nil, eventlog.ErrTrimmed
	case !r.log.dir.Holds(r.log.lock):
		return nil, ErrGone // the directory may be restored
	}
	return nil, r.damaged(last, fmt.Errorf("%w: the file is missing", ErrDamaged))
}

// damaged is called for records up to last that cannot be read. It returns err, or nil if they
// are left out.
func (r *reader) damaged(last uint64, err error) error {
	switch {
	case r.base <= r.log.dropped.Load(): // it is being removed
		return eventlog.ErrTrimmed
	case last <= r.lost:
		return nil
	}
	r.log.lose(last, err)
	return err
}

// lose makes positions before a record that cannot be read truncated. Without that a reader
// that needs it could only begin again and again.
func (l *Log) lose(seq uint64, err error) {
	for {
		found := l.found.Load()
		if seq <= found {
			return
		}
		if l.found.CompareAndSwap(found, seq) {
			l.options.Logger.Error("event log: damage found, records are lost", "last", seq, "err", err)
			return
		}
	}
}

// sealed yields the records of a run.
func (r *reader) sealed(run runRef) error { return r.places(run, r.one) }

var errBadFooter = fmt.Errorf("%w: footer", ErrDamaged)

// places calls each with the refs of a run's records, which it reads from the footer.
func (r *reader) places(run runRef, each func(ref) error) error {
	off, end := int64(run.off), int64(run.off)+int64(run.size)
	r.list.reset(r.file, end)
	var at ref
	for off < end {
		b, err := r.list.at(off, int(min(end-off, 2*binary.MaxVarintLen32)))
		if errors.Is(err, ErrDamaged) {
			return r.damaged(run.last, err)
		} else if err != nil {
			return err
		}
		d := decoder{b: b}
		at.seq += uint32(d.uvarint())
		at.off += uint32(d.uvarint())
		if d.bad {
			return r.damaged(run.last, errBadFooter)
		}
		off += int64(len(b) - len(d.b))
		if err := each(at); err != nil {
			return err
		}
	}
	if r.base+uint64(at.seq) != run.last {
		return r.damaged(run.last, errBadFooter)
	}
	return nil
}

// overtaken returns an error if the replay must end.
func (r *reader) overtaken() error {
	const often = 16 // reading the clock takes as long as reading a small record
	if r.count%often == 0 {
		r.log.mu.Lock()
		r.expired = r.log.cutoff()
		r.log.mu.Unlock()
	}
	r.count++
	if r.log.queue.closed.Load() {
		return eventlog.ErrClosed
	}
	return r.ctx.Err()
}

func (r *reader) refs(refs []ref) error {
	for _, at := range refs {
		if err := r.one(at); err != nil {
			return err
		}
	}
	return nil
}

// one yields the record at a ref, if it is part of the view.
func (r *reader) one(at ref) error {
	seq := r.base + uint64(at.seq)
	if seq <= r.from {
		return nil
	}
	err := r.read(at, seq)
	switch {
	case errors.Is(err, errOld):
		return nil // the replay is then truncated
	case errors.Is(err, ErrDamaged):
		return r.damaged(seq, err)
	case err != nil:
		return err
	}
	r.from = seq
	if !r.yield(&r.mem.record, nil) {
		return errStop
	}
	return nil
}

// errOld means that a record had expired when the view was made.
var errOld = errors.New("past the retention")

// read reads the record at a ref into mem.
func (r *reader) read(at ref, seq uint64) error {
	if err := r.overtaken(); err != nil {
		return err
	}
	b, err := r.window.record(int64(at.off))
	if err != nil {
		return err
	}
	s := &r.stored
	if _, ok := s.parse(b, r.log.seed); !ok || s.seq != seq || string(s.channel) != r.channel {
		return fmt.Errorf("%w: record %d at %d", ErrDamaged, seq, at.off)
	}
	if s.time < r.cutoff {
		return errOld
	}
	if s.time < r.expired || s.seq <= r.log.dropped.Load() {
		return eventlog.ErrTrimmed
	}
	if s.epoch != r.epoch.id {
		r.epoch = epoch{id: s.epoch, text: r.epochs.text(s.epoch)}
	}
	if !r.mem.load(s, r.epoch.text) {
		return fmt.Errorf("%w: record %d at %d", ErrDamaged, seq, at.off)
	}
	return nil
}
