package eventlogtest

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// SharedStore describes how to open shared logs. Only Open is required.
type SharedStore struct {
	// Open returns a new, empty log. It is called by many tests at once. If it cannot open
	// one it must fail the test.
	Open func(t *testing.T) SharedLog

	// Bubble runs each case in a [testing/synctest] bubble.
	Bubble bool
}

// SharedLog is one shared log. Cases that need a function that is nil are not run.
type SharedLog struct {
	// Handle returns another handle on the log. The suite closes it.
	Handle func(t *testing.T) eventlog.Shared

	// Drop makes the feed of a handle drop records, or deliver them again.
	Drop func(h eventlog.Shared, drop bool)

	// Replace replaces the log by an empty one, and returns when all handles have noticed.
	Replace func()

	// Cut disconnects a handle from the log, or connects it again, and returns when the
	// handle has noticed.
	Cut func(h eventlog.Shared, cut bool)
}

// RunShared tests the shared logs of s. Call [RunStore] too, to test each handle as a Log.
func RunShared(t *testing.T, s SharedStore) {
	t.Helper()
	can := s.Open(t)
	groups := map[string]struct {
		cases map[string]func(*nodes)
		can   bool
	}{
		"Append":  {sharedAppendCases, true},
		"Follow":  {followCases, true},
		"Keys":    {sharedKeyCases, can.hasKeys(t)},
		"Resume":  {sharedResumeCases, true},
		"Newest":  {sharedNewestCases, true},
		"Close":   {sharedCloseCases, true},
		"Drop":    {dropCases, can.Drop != nil},
		"Replace": {replaceCases, can.Replace != nil},
		"Cut":     {cutCases, can.Cut != nil},
	}
	for group, g := range groups {
		if !g.can {
			continue
		}
		t.Run(group, func(t *testing.T) {
			for name, run := range g.cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test := func(t *testing.T) {
						n := &nodes{SharedLog: s.Open(t), t: t}
						run(n)
						n.end()
					}
					if s.Bubble {
						synctest.Test(t, test)
						return
					}
					test(t)
				})
			}
		})
	}
}

// hasKeys reports whether the log is [eventlog.Keyed].
func (l *SharedLog) hasKeys(t *testing.T) bool {
	t.Helper()
	return eventlog.KeyWindow(use(t, l.Handle(t)).Log) > 0
}

// nodes are several handles on a log under test.
type nodes struct {
	SharedLog
	t      *testing.T
	opened []*node
}

// node is a handle under test. log repeats calls that return ErrUnavailable, shared does
// not.
type node struct {
	*log
	shared eventlog.Shared
}

// open opens n handles.
func (n *nodes) open(count int) []*node {
	n.t.Helper()
	for range count {
		h := n.Handle(n.t)
		n.opened = append(n.opened, &node{log: &log{Log: usePatiently(h), t: n.t}, shared: h})
	}
	return slices.Clone(n.opened[len(n.opened)-count:])
}

// two opens two handles.
func (n *nodes) two() (a, b *node) {
	n.t.Helper()
	list := n.open(2)
	return list[0], list[1]
}

func (n *nodes) end() {
	for _, h := range n.opened {
		h.shut()
	}
}

// recorder is a follower that records its calls.
type recorder struct {
	t    *testing.T
	from eventlog.Position
	stop func()

	mu      sync.Mutex
	got     []*eventlog.Record
	lost    []error
	changed chan struct{} // closed by the next call
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, changed: make(chan struct{})}
}

// follow follows channel until the test ends.
func (n *node) follow(channel string) *recorder {
	n.t.Helper()
	r, err := n.tryFollow(channel)
	if err != nil {
		n.t.Fatalf("Follow %q: %v", channel, err)
	}
	return r
}

// tryFollow follows channel, patiently.
func (n *node) tryFollow(channel string) (r *recorder, err error) {
	err = new(patient).try(n.t.Context(), func() error {
		r = newRecorder(n.t)
		r.from, r.stop, err = n.shared.Follow(n.t.Context(), channel, r)
		return err
	})
	return r, err
}

// Deliver implements [eventlog.Follower].
func (r *recorder) Deliver(rec *eventlog.Record) {
	r.note(func() {
		if len(r.lost) > 0 {
			r.t.Errorf("record %d was delivered after Lost", rec.Seq)
		}
		r.got = append(r.got, rec)
	})
}

// Lost implements [eventlog.Follower].
func (r *recorder) Lost(err error) { r.note(func() { r.lost = append(r.lost, err) }) }

func (r *recorder) note(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits until done returns true.
func (r *recorder) until(what string, done func() bool) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		ok, changed := done(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			r.t.Fatalf("%s did not arrive; got %v", what, seqs(r.records()))
		}
	}
}

func (r *recorder) records() []*eventlog.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// upTo waits for the record seq, or a later one, and returns all that have arrived.
func (r *recorder) upTo(seq uint64) []*eventlog.Record {
	r.t.Helper()
	r.until("the record", func() bool { return len(r.got) > 0 && r.got[len(r.got)-1].Seq >= seq })
	return r.records()
}

// sees checks that the records want arrive, and no others.
func (r *recorder) sees(want []*eventlog.Record) {
	r.t.Helper()
	got := r.upTo(want[len(want)-1].Seq)
	if g, w := seqs(got), seqs(want); !slices.Equal(g, w) {
		r.t.Fatalf("followed %v, want %v", g, w)
	}
	for i := range want {
		if string(got[i].Data) != string(want[i].Data) {
			r.t.Errorf("record %d has the data %q, want %q", got[i].Seq, got[i].Data, want[i].Data)
		}
	}
}

// gone waits for Lost, checks that it is called once, and returns its error.
func (r *recorder) gone() error {
	r.t.Helper()
	r.until("Lost", func() bool { return len(r.lost) > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lost) > 1 || r.lost[0] == nil {
		r.t.Errorf("Lost was called with %v", r.lost)
	}
	return r.lost[0]
}

// publish appends records as a namespace does, without a deliver.
func (n *node) publish(channel string, texts ...string) []*eventlog.Record {
	n.t.Helper()
	var rs []*eventlog.Record
	for _, data := range texts {
		r := text(data)
		if err := n.Append(n.t.Context(), channel, r, nil); err != nil {
			n.t.Fatalf("Append to %q: %v", channel, err)
		}
		rs = append(rs, r)
	}
	return rs
}
