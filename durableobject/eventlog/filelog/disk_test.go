package filelog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// errPower is returned by every call after the power was lost.
var errPower = errors.New("power lost")

// disk is a directory in memory that loses what was not synced. It promises no more than
// the standards do: each write, truncation and change of a name that was not synced may
// reach the disk or not, independently of the others, and a write may reach it in part, by
// sectors.
type disk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	names   map[string]*inode
	durable map[string]*inode
	changes []change
	locked  bool

	ops     int // number of changes so far
	powerAt int // the op during which the power is lost, 0 for never
	dead    bool
	// fail is called before each call, with its kind and the file's name. Its error makes
	// the call fail.
	fail func(op, name string) error
	// space and files are the maximum numbers of bytes and files; 0 means no limit.
	space, files int
}

// resize changes the maximum number of bytes.
func (d *disk) resize(space int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.space = space
}

// free returns how many of n additional bytes still fit.
func (d *disk) free(n int) int {
	if d.space == 0 {
		return n
	}
	used := 0
	for _, n := range d.names {
		used += len(n.data)
	}
	return max(0, min(n, d.space-used))
}

// change is a change of names: to a file, or to nil if it was removed.
type change map[string]*inode

type inode struct {
	data, durable []byte
	pending       []write // not synced
}

// write is a write of data at off, or a truncation to off if data is nil.
type write struct {
	off  int64
	data []byte
}

func newDisk(rng *rand.Rand) *disk {
	return &disk{rng: rng, names: map[string]*inode{}, durable: map[string]*inode{}}
}

// begin is called at the start of every call, with mu held.
func (d *disk) begin(op, name string, changes bool) error {
	if d.dead {
		return errPower
	}
	if changes {
		d.ops++
		d.dead = d.ops == d.powerAt
	}
	if d.fail != nil {
		return d.fail(op, name)
	}
	return nil
}

// end returns the result of a change that was recorded but not synced.
func (d *disk) end() error {
	if d.dead {
		return errPower
	}
	return nil
}

func (d *disk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("list", "", false); err != nil {
		return nil, err
	}
	var names []string
	for name := range d.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (d *disk) Open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("open", name, false); err != nil {
		return nil, err
	}
	n := d.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &diskFile{d, n, name}, nil
}

func (d *disk) Edit(name string) (file, error) { return d.Open(name) }

func (d *disk) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("create", name, true); err != nil {
		return nil, err
	}
	n := d.names[name]
	if n == nil && d.files > 0 && len(d.names) >= d.files {
		return nil, syscall.ENOSPC
	}
	if n == nil {
		n = &inode{}
		d.change(change{name: n})
	}
	n.write(write{})
	return &diskFile{d, n, name}, d.end()
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("rename", to, true); err != nil {
		return err
	}
	d.change(change{from: nil, to: d.names[from]})
	return d.end()
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("remove", name, true); err != nil {
		return err
	}
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	d.change(change{name: nil})
	return d.end()
}

func (d *disk) change(c change) {
	apply(d.names, c)
	d.changes = append(d.changes, c)
}

func apply(names map[string]*inode, c change) {
	for name, n := range c {
		if n == nil {
			delete(names, name)
		} else {
			names[name] = n
		}
	}
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("syncdir", "", true); err != nil || d.dead {
		return errors.Join(err, d.end())
	}
	for _, c := range d.changes {
		apply(d.durable, c)
	}
	d.changes = nil
	return nil
}

func (d *disk) Lock(shared bool) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, ErrLocked
	}
	d.locked = !shared
	return unlocker{d}, nil
}

func (d *disk) Holds(f io.Closer) bool {
	held, ok := f.(*diskFile)
	if !ok {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead || d.names[held.name] == held.n
}

type unlocker struct{ d *disk }

func (u unlocker) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	u.d.locked = false
	return nil
}

// afterPowerLoss returns a disk with a possible content after a loss of power.
func (d *disk) afterPowerLoss() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk(d.rng)
	after.space, after.files = d.space, d.files
	luck := d.rng.Float64() * 1.2 // near 0 nothing is kept, from 1 on everything
	for _, c := range d.changes {
		if d.rng.Float64() < luck {
			apply(d.durable, c)
		}
	}
	for name, n := range d.durable {
		data := bytes.Clone(n.durable)
		for _, w := range n.pending {
			data = d.tear(data, w, luck)
		}
		m := &inode{data: data, durable: bytes.Clone(data)}
		after.names[name], after.durable[name] = m, m
	}
	return after
}

// tear applies those sectors of w that happened to reach the disk.
func (d *disk) tear(data []byte, w write, luck float64) []byte {
	const sector = 64 // small, as the records of the tests are
	if w.data == nil {
		if d.rng.Float64() < luck {
			return w.apply(data)
		}
		return data
	}
	for from := int64(0); from < int64(len(w.data)); {
		to := min(from+sector-(w.off+from)%sector, int64(len(w.data)))
		if d.rng.Float64() < luck {
			data = write{off: w.off + from, data: w.data[from:to]}.apply(data)
		}
		from = to
	}
	return data
}

func (w write) apply(data []byte) []byte {
	end := w.off + int64(len(w.data))
	if grow := end - int64(len(data)); grow > 0 {
		data = append(data, make([]byte, grow)...)
	}
	if w.data == nil {
		return data[:w.off:w.off]
	}
	copy(data[w.off:], w.data)
	return data
}

func (n *inode) write(w write) {
	n.data = w.apply(n.data)
	n.pending = append(n.pending, w)
}

// diskFile is an open file of a disk.
type diskFile struct {
	d    *disk
	n    *inode
	name string
}

func (f *diskFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.begin("read", f.name, false); err != nil {
		return 0, err
	}
	if off > int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.begin("write", f.name, true)
	if err != nil {
		// A failed write may be incomplete or complete.
		b = b[:min(len(b), f.d.rng.IntN(2*len(b)+1))]
	}
	if grow := int(off) + len(b) - len(f.n.data); grow > 0 {
		if fits := f.d.free(grow); fits < grow {
			b, err = b[:max(0, len(b)-grow+fits)], syscall.ENOSPC
		}
	}
	f.n.write(write{off: off, data: append([]byte{}, b...)})
	return len(b), errors.Join(err, f.d.end())
}

func (f *diskFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.begin("truncate", f.name, true); err != nil {
		return err
	}
	f.n.write(write{off: size})
	return f.d.end()
}

// A Sync that fails discards the pending writes, but reads still return them, as on Linux.
func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.begin("sync", f.name, true)
	if f.d.dead {
		return errPower
	}
	if err == nil {
		for _, w := range f.n.pending {
			f.n.durable = w.apply(f.n.durable)
		}
	}
	f.n.pending = nil
	return err
}

func (f *diskFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.data)), f.d.begin("size", f.name, false)
}

func (f *diskFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.begin("close", f.name, false)
}

// clone returns a copy of the current content, all of it durable.
func (d *disk) clone() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk(d.rng)
	c.space, c.files = d.space, d.files
	for name, n := range d.names {
		m := &inode{data: bytes.Clone(n.data), durable: bytes.Clone(n.data)}
		c.names[name], c.durable[name] = m, m
	}
	return c
}
