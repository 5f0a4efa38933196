package durableobject

import (
	"context"
	"slices"
	"sync"
)

// maxWaiting is how many changes may wait for a watcher, in addition to one for each member.
const maxWaiting = 10_000

// watcher reads the changes of the members of a channel.
type watcher struct {
	mu      *sync.Mutex // members.mu, which guards the others
	waiting map[Recipient]PresenceChange
	order   []Recipient // of waiting; also has some that are not in it
	err     error
	changed chan struct{} // has an element if there is something to take
}

func newWatcher(mu *sync.Mutex) *watcher {
	return &watcher{mu: mu, waiting: map[Recipient]PresenceChange{}, changed: make(chan struct{}, 1)}
}

// add adds a change, merged with an earlier one of the same member that still waits. present is the
// number of members. It does nothing after the watcher has failed.
func (w *watcher) add(c PresenceChange, present int) {
	if w.err != nil {
		return
	}
	old, found := w.waiting[c.Member.Recipient]
	if !found {
		w.order = append(w.order, c.Member.Recipient)
	}
	switch {
	case found && old.Kind == PresenceJoined && c.Kind == PresenceLeft: // the watcher has not seen it
		delete(w.waiting, c.Member.Recipient)
	case found && old.Kind == PresenceJoined:
		w.waiting[c.Member.Recipient] = PresenceChange{PresenceJoined, c.Member}
	case found && old.Kind == PresenceLeft:
		w.waiting[c.Member.Recipient] = PresenceChange{PresenceChanged, c.Member}
	default:
		w.waiting[c.Member.Recipient] = c
	}
	if len(w.order) > maxWaiting+2*present {
		w.compact()
		if len(w.order) > maxWaiting+present {
			w.fail(ErrPresenceLag)
		}
	}
	w.wake()
}

// compact removes from order the recipients that are not in waiting, and repetitions.
func (w *watcher) compact() {
	seen := map[Recipient]bool{}
	w.order = slices.DeleteFunc(w.order, func(r Recipient) bool {
		_, found := w.waiting[r]
		again := seen[r]
		seen[r] = true
		return !found || again
	})
}

func (w *watcher) fail(err error) {
	w.err, w.waiting, w.order = err, nil, nil
	w.wake()
}

func (w *watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// next waits for changes.
func (w *watcher) next(ctx context.Context) ([]PresenceChange, error) {
	for {
		select {
		case <-w.changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if changes, err := w.take(); len(changes) > 0 || err != nil {
			return changes, err
		}
	}
}

func (w *watcher) take() ([]PresenceChange, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	changes := make([]PresenceChange, 0, len(w.waiting))
	for _, r := range w.order {
		if c, found := w.waiting[r]; found {
			changes = append(changes, c)
			delete(w.waiting, r)
		}
	}
	w.order = nil
	return changes, nil
}
