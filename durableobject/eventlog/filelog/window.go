package filelog

import (
	"errors"
	"fmt"
	"io"
)

const (
	// minAhead is how many bytes are read for a single record, maxAhead for successive
	// records.
	minAhead = 4 << 10
	maxAhead = 128 << 10
)

// window buffers a part of a file, for reading forwards or backwards.
type window struct {
	file  file
	end   int64 // nothing is read after this offset
	start int64 // offset of b in the file
	b     []byte
	ahead int
	back  bool // records are read backwards
}

func (w *window) reset(f file, end int64) {
	w.file, w.end, w.start, w.b = f, end, 0, w.b[:0]
	w.ahead = max(w.ahead, minAhead)
}

// record returns the bytes of the record at off, which are valid until the next call.
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

// move reads the file from off on: more each time if that is close to the end of the
// window, and otherwise little. For reading backwards it also reads bytes before off.
func (w *window) move(off int64, n int) error {
	size := max(n, minAhead)
	if w.follows(off, size) {
		w.ahead = min(2*w.ahead, maxAhead)
	} else {
		w.ahead = minAhead
	}
	start, end := off, min(off+int64(max(n, w.ahead)), w.end)
	if w.back {
		end = min(off+int64(size), w.end)
		start = max(min(off, end-int64(w.ahead)), 0)
	}
	size = int(end - start)
	if cap(w.b) < size || cap(w.b) > 2*maxAhead {
		w.b = make([]byte, size)
	}
	w.start, w.b = start, w.b[:size]
	if _, err := w.file.ReadAt(w.b, start); err != nil {
		w.b = w.b[:0]
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: file ends before %d", ErrDamaged, start+int64(size))
		}
		return fmt.Errorf("at %d: %w", off, err)
	}
	return nil
}

// follows reports whether the n bytes at off are close to the window, in the direction of
// reading.
func (w *window) follows(off int64, n int) bool {
	if w.back {
		return off < w.start && off+int64(n) >= w.start
	}
	return off >= w.start && off <= w.start+int64(len(w.b))
}
