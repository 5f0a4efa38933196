package filelog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/keytable"
)

// keys has the keys of the stored records and of the batch that is being written. Only the
// committer uses it. A key is as durable as its record.
type keys struct {
	*keytable.Table
	// staged has the first request of each new key in the batch, stagedOf the number of
	// new keys of each channel, and repeats the requests that wait for a first one.
	staged   map[keytable.Digest]*request
	stagedOf map[keytable.Channel]int
	repeats  []repeat
}

// repeat is a request with the key of another one in the batch.
type repeat struct{ request, first *request }

// identify answers the requests whose keys are known, sets those aside that repeat another
// one of the batch, and returns the rest, which must be stored.
func (l *Log) identify(batch []*request) []*request {
	k, kept := &l.c.keys, 0
	now := int64(-1) // not read yet
	for _, r := range batch {
		if r.record.Key != "" {
			if now < 0 {
				now = l.now()
				k.Expire(now)
			}
			if first, known := k.Find(r.key, now); known {
				r.record.Seq, r.record.Epoch = first.Seq, l.epochs.text(first.Epoch)
				r.done <- nil
				continue
			}
			if first := k.staged[r.key]; first != nil {
				k.repeats = append(k.repeats, repeat{r, first})
				continue
			}
			of := r.key.Channel()
			if !k.HasPlace(r.key, len(k.staged), k.stagedOf[of]) {
				r.done <- eventlog.ErrTooManyKeys
				continue
			}
			k.staged[r.key] = r
			k.stagedOf[of]++
		}
		batch[kept] = r
		kept++
	}
	clear(batch[kept:])
	return batch[:kept]
}

// remember adds the keys of a batch that was stored, or discards them if it failed with err,
// and answers the requests that repeat others of the batch.
func (l *Log) remember(batch []*request, err error) {
	k := &l.c.keys
	if len(k.staged) == 0 {
		return
	}
	for _, r := range batch {
		if r.record.Key != "" && err == nil {
			k.Add(r.key, keytable.Entry{Epoch: l.epochs.current().id, Seq: r.record.Seq, At: l.time})
		}
	}
	for _, again := range k.repeats {
		if err == nil {
			first := again.first.record
			again.request.record.Seq, again.request.record.Epoch = first.Seq, first.Epoch
		}
		again.request.done <- err
	}
	clear(k.staged)
	clear(k.stagedOf)
	clear(k.repeats)
	k.repeats = k.repeats[:0]
}

// expireKeys frees the memory of expired keys.
func (l *Log) expireKeys() {
	l.c.keys.Expire(l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Keys = l.c.keys.Len()
}

// dropped returns the keys of records up to floor that have not expired at the time now.
// These records are in no segment.
func (k *keys) dropped(floor uint64, now int64) (list []droppedKey) {
	for digest, e := range k.All(now) {
		if e.Seq <= floor {
			list = append(list, droppedKey{digest, e})
		}
	}
	slices.SortFunc(list, func(a, b droppedKey) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

// recallDropped loads the keys in the checkpoint. The next checkpoint will have them too.
func (l *Log) recallDropped(list []droppedKey) {
	after := l.now() - int64(l.options.KeyWindow)
	for _, k := range list {
		if k.At >= after {
			l.c.keys.Add(k.digest, k.Entry)
		}
	}
}

// recallStored loads the keys of the stored records. It runs after recallDropped, because
// these are later.
func (l *Log) recallStored() error {
	after := l.now() - int64(l.options.KeyWindow)
	segments := l.index.sealed
	if l.live != nil {
		segments = append(slices.Clip(segments), l.live)
	}
	for _, s := range segments {
		if s.count > 0 && s.lastTime >= after {
			if err := l.recallFrom(s, after); err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
		}
	}
	l.stats.Keys = l.c.keys.Len()
	return nil
}

// recallFrom loads the keys of the records of a segment that were written at or after a time.
func (l *Log) recallFrom(s *segment, after int64) error {
	f, err := l.dir.Open(s.name())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	var w window
	w.reset(f, s.dataEnd)
	var rec stored
	for off := int64(headerBytes); off < s.dataEnd; {
		b, err := w.record(off)
		if err != nil {
			return err
		}
		n, ok := rec.parse(b, l.seed)
		if !ok {
			return fmt.Errorf("%w: record at %d", ErrDamaged, off)
		}
		if key := rec.key(); key != "" && rec.time >= after {
			l.c.keys.Add(keytable.DigestOf(string(rec.channel), key), keytable.Entry{Epoch: rec.epoch, Seq: rec.seq, At: rec.time})
		}
		off += int64(n)
	}
	return nil
}
