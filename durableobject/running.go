package durableobject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// runningCode lists the application's code that is running, for the error of Shutdown. The zero
// value is an empty list.
type runningCode struct {
	mu    sync.Mutex
	first *activity
}

// activity is a run of a method or a hook. It is an element of a linked list, so that adding it does
// not allocate.
type activity struct {
	method     []string // path of the method
	hook       string   // name of the hook; method is then not set
	channel    string
	prev, next *activity
}

func (r *runningCode) add(a *activity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.next = r.first
	if a.next != nil {
		a.next.prev = a
	}
	r.first = a
}

func (r *runningCode) remove(a *activity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		r.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
}

// count adds the number of running activities to counts, by name and channel.
func (r *runningCode) count(counts map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := r.first; a != nil; a = a.next {
		name := cmp.Or(a.hook, strings.Join(a.method, "."))
		counts[fmt.Sprintf("%s of %q", name, a.channel)]++
	}
}

// maxNamed is the maximum number of kinds of running code in an error.
const maxNamed = 10

// describe returns counts as a string, the most frequent first, or "nothing of the application".
func describe(counts map[string]int) string {
	names, total := make([]string, 0, len(counts)), 0
	for name, n := range counts {
		names, total = append(names, name), total+n
	}
	if total == 0 {
		return "nothing of the application"
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	more := max(len(names)-maxNamed, 0)
	for i, name := range names[:len(names)-more] {
		names[i] = fmt.Sprintf("%s (%d)", name, counts[name])
	}
	list := fmt.Sprintf("%d calls and hooks: %s", total, strings.Join(names[:len(names)-more], ", "))
	if more > 0 {
		list += fmt.Sprintf(", and %d other kinds", more)
	}
	return list
}
