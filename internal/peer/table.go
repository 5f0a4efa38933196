package peer

import "slices"

// callTable finds the calls of a server by their ids. An idle socket has one call or none,
// so a few calls are a list without an index.
type callTable struct {
	list []*Call
	byID map[string]*Call // nil while the list is short
}

// shortTable is how many calls are looked through one by one.
const shortTable = 16

func (t *callTable) find(id ID) *Call {
	if t.byID != nil {
		return t.byID[string(id)]
	}
	for _, c := range t.list {
		if string(c.id) == string(id) {
			return c
		}
	}
	return nil
}

func (t *callTable) add(c *Call) {
	c.place = len(t.list)
	t.list = append(t.list, c)
	switch {
	case t.byID != nil:
		t.byID[string(c.id)] = c
	case len(t.list) > shortTable:
		t.byID = make(map[string]*Call, 2*len(t.list))
		for _, c := range t.list {
			t.byID[string(c.id)] = c
		}
	}
}

func (t *callTable) remove(c *Call) {
	last := len(t.list) - 1
	t.list[c.place], t.list[last].place = t.list[last], c.place
	t.list[last] = nil
	t.list = t.list[:last]
	if t.byID != nil {
		delete(t.byID, string(c.id))
	}
	if last == 0 {
		t.byID = nil
		if cap(t.list) > shortTable {
			t.list = nil
		}
	}
}

// lane is what a number of calls run in at a time; further ones wait in order. A call that
// ends before is taken out in constant time, spread over the calls. There are none in calls
// while the lane is free.
type lane struct {
	limit   int
	running int
	calls   []*Call
	ended   int // of calls
}

func (l *lane) free() bool { return l.running < l.limit }

func (l *lane) push(c *Call) { l.calls = append(l.calls, c) }

// drop is called for a call that has ended while it waits.
func (l *lane) drop() {
	if l.ended++; l.ended > len(l.calls)/2 {
		l.calls = slices.DeleteFunc(l.calls, func(c *Call) bool { return c.over != nil })
		l.ended = 0
	}
}

// pop takes out the first call, nil if there is none.
func (l *lane) pop() (first *Call) {
	for len(l.calls) > 0 {
		first, l.calls[0] = l.calls[0], nil
		if l.calls = l.calls[1:]; len(l.calls) == 0 {
			l.calls = nil
		}
		if first.over == nil {
			return first
		}
		l.ended--
	}
	return nil
}
