package filelog

import "fmt"

const (
	// minAhead is how much is read for a record that stands alone, maxAhead for
	// records that follow one another.
	minAhead = 4 << 10
	maxAhead = 128 << 10
)

// window is a part of a file in memory, for reading forward.
type window struct {
	file  file
	end   int64 // nothing is read past it
	start int64 // where b is from
	b     []byte
	ahead int
}

func (w *window) reset(f file, end int64) {
	w.file, w.end, w.start, w.b = f, end, 0, w.b[:0]
	w.ahead = max(w.ahead, minAhead)
}

// record returns the bytes of the record at off until the next call.
func (w *window) record(off int64) ([]byte, error) {
	b, err := w.at(off, lengthBytes)
	if err != nil {
		return nil, err
	}
	n, ok := recordLength(b)
	if !ok {
		return nil, fmt.Errorf("%w: record at %d", ErrDamaged, off)
	}
	return w.at(off, n)
}

// at returns the n bytes at off.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off+int64(n) > w.end {
		return nil, fmt.Errorf("%w: record at %d", ErrDamaged, off)
	}
	if i := off - w.start; i < 0 || i+int64(n) > int64(len(w.b)) {
		if err := w.move(off, n); err != nil {
			return nil, err
		}
	}
	i := off - w.start
	return w.b[i : i+int64(n)], nil
}

// move reads the file from off on: more each time if that is close to where the
// window ended, else little.
func (w *window) move(off int64, n int) error {
	if off >= w.start && off <= w.start+int64(len(w.b)) {
		w.ahead = min(2*w.ahead, maxAhead)
	} else {
		w.ahead = minAhead
	}
	size := int(min(int64(max(n, w.ahead)), w.end-off))
	if cap(w.b) < size || cap(w.b) > 2*maxAhead {
		w.b = make([]byte, size)
	}
	w.start, w.b = off, w.b[:size]
	if _, err := w.file.ReadAt(w.b, off); err != nil {
		w.b = w.b[:0]
		return fmt.Errorf("at %d: %w", off, err)
	}
	return nil
}
