package filelog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var _ eventlog.Newest = (*Log)(nil)

// Newest implements [eventlog.Newest]. It reads only the channel's records, and the list of
// their positions in each segment that has some. If bytes are damaged, the replay ends with
// [ErrDamaged].
func (l *Log) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	v, known, err := l.viewBefore(channel, p)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return eventlog.Replay{}, fmt.Errorf("filelog: newest: %w", err)
	}
	return eventlog.Replay{Truncated: !known, Records: v.backwards(ctx)}, nil
}

// viewBefore returns a view of a channel's records before a position, or of all of them if
// the log does not know the position.
func (l *Log) viewBefore(name string, p eventlog.Position) (v view, known bool, err error) {
	if v, err = l.view(name, eventlog.Position{}); err != nil {
		return v, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known = p.IsZero() || l.epochs.knows(p.Epoch, p.Seq, l.head); !known || p.IsZero() {
		p.Seq = math.MaxUint64
	}
	v.limit = p.Seq
	return v, known, nil
}

// backwards yields the records of the view before its limit, newest first.
func (v *view) backwards(ctx context.Context) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		// Times never decrease, so all records before one that is too old are too old.
		r := &reader{view: *v, ctx: ctx, yield: yield, backwards: true}
		r.window.back = true
		if len(v.live) > 0 && v.liveBase < v.limit {
			if !r.part(v.liveBase, v.liveEnd, v.liveLast(), r.liveBackwards) {
				return
			}
		}
		for _, run := range slices.Backward(v.runs) {
			switch {
			case run.seg.base >= v.limit:
				continue
			case run.seg.lastTime < v.cutoff:
				return
			}
			if !r.part(run.seg.base, run.seg.dataEnd, run.last, func() error { return r.sealedBackwards(run) }) {
				return
			}
		}
	}
}

// liveBackwards yields the records of the active segment.
func (r *reader) liveBackwards() error {
	end := sort.Search(len(r.live), func(i int) bool { return r.base+uint64(r.live[i].seq) >= r.limit })
	return r.refsBackwards(r.live[:end])
}

// refsInMemory is the minimum number of refs of a footer in memory at a time.
const refsInMemory = 4096

// sealedBackwards yields the records of a run, newest first. The list in the footer can be
// read only forwards, so it is read several times if it is long.
func (r *reader) sealedBackwards(run runRef) error {
	for {
		refs, cut, err := r.lastRefs(run)
		if err == nil {
			err = r.refsBackwards(refs)
		}
		if err != nil || !cut {
			return err
		}
		r.limit = r.base + uint64(refs[0].seq)
	}
}

// errEnough stops reading a list.
var errEnough = errors.New("enough")

// lastRefs returns the last refs of a run before the limit, and reports whether there are
// others before them.
func (r *reader) lastRefs(run runRef) (refs []ref, cut bool, err error) {
	err = r.places(run, func(at ref) error {
		if r.base+uint64(at.seq) >= r.limit {
			return errEnough
		}
		if len(refs) == 2*refsInMemory {
			cut = true
			refs = refs[:copy(refs, refs[refsInMemory:])]
		}
		refs = append(refs, at)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return refs, cut, err
}

// refsBackwards yields the records at these refs, the last one first.
func (r *reader) refsBackwards(refs []ref) error {
	for _, at := range slices.Backward(refs) {
		seq := r.base + uint64(at.seq)
		err := r.read(at, seq)
		switch {
		case errors.Is(err, ErrDamaged):
			return r.damaged(seq, err)
		case errors.Is(err, errOld): // all records before it are too old, too
			return errStop
		case err != nil:
			return err
		case !r.yield(&r.mem.record, nil):
			return errStop
		}
	}
	return nil
}
