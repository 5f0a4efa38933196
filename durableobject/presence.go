package durableobject

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Presence lists the clients of the object on all nodes: those with one of the tags, or all
// of them. It is answered from what this node knows, which the others keep up to date; a
// node that has just started waits for them, at most 250 ms. Members of a node that was
// killed are gone within 30 s. Nodes that are connected by no bus know nothing of each
// other's members: see Options.Bus.
//
// The error is [ErrNoPresence] without Options.Presence, or that of ctx.
func (o *Object[T]) Presence(ctx context.Context, tags ...string) (Presence, error) {
	p := o.channels.core.members
	if p == nil {
		return Presence{}, fmt.Errorf("durableobject: presence: %w", ErrNoPresence)
	}
	if err := p.wait(ctx); err != nil {
		return Presence{}, fmt.Errorf("durableobject: presence: %w", err)
	}
	list := p.list(o.name)
	if len(tags) > 0 {
		list = slices.DeleteFunc(list, func(m Member) bool {
			return !slices.ContainsFunc(m.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
		})
	}
	slices.SortFunc(list, func(a, b Member) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Subject, b.Subject), strings.Compare(a.ID, b.ID))
	})
	return Presence{list, p.silent()}, nil
}

// PresenceCount returns the number of members that this node knows of. It waits for nothing
// and takes the same time for any number. It is 0 without Options.Presence.
func (o *Object[T]) PresenceCount() int {
	p := o.channels.core.members
	if p == nil {
		return 0
	}
	return p.count(o.name)
}

// PresenceChanges yields the members of the object, and then each change of them until ctx
// ends, whose error it yields last. Changes of one member that the loop was too slow for
// are yielded as one. It is for methods that return streams, so that a page shows the list
// as it changes: see [HandleEvents]. It can be ranged over again, from the beginning.
//
// Every loop begins with all members as [PresenceJoined], and a member that left between two
// loops is in neither. So begin each loop with an empty list, and have a method send an event
// of its own first, on which clients empty theirs: a call with rpc.WithRetry opens the stream
// again without the client's loop ending.
//
// A loop that does not go on holds the list and what has changed since, at most 10,000
// changes more than there are members, of some 300 bytes each. Options.MaxStreams bounds
// how many such streams a socket has.
//
// The error is also [ErrNoPresence], [ErrPresenceLag], or [ErrClosed] when the namespace
// shuts down.
func (o *Object[T]) PresenceChanges(ctx context.Context) iter.Seq2[PresenceChange, error] {
	return func(yield func(PresenceChange, error) bool) {
		fail := func(err error) { yield(PresenceChange{}, fmt.Errorf("durableobject: presence changes: %w", err)) }
		p := o.channels.core.members
		if p == nil {
			fail(ErrNoPresence)
			return
		}
		w := p.watch(o.name)
		defer p.unwatch(o.name, w)
		for {
			changes, err := w.next(ctx)
			if err != nil {
				fail(err)
				return
			}
			for _, change := range changes {
				if !yield(change, nil) {
					return
				}
			}
		}
	}
}

// OnJoined is called when a client has become a member: its first socket is open, on
// whichever node. It is called at least once, usually on the node of the socket, and twice if
// the client comes to two nodes at the same moment, if messages between nodes are lost, or if
// the node is killed while the call runs or waits: another one calls it then.
// If such a message is late or lost, OnLeft may also have been called in between. The calls of
// OnJoined and OnLeft of an object on one node follow one another, in order: one that blocks
// holds up the next. At most 100,000 calls wait on a node, 50,000 of them for one object; more
// are dropped, which is logged at most every 10 s. ctx ends after Options.HookTimeout; a panic
// is logged. It requires Options.Presence. The default does nothing; declare the method on
// your own type to replace it.
func (o *Object[T]) OnJoined(context.Context, Member) {}

// OnLeft is called when a member is gone: its last socket, on all nodes, has closed, and the
// grace has passed. It is called at least once. If its node is killed, also while the call runs
// or waits, another one calls it, but nobody does if that was the last node. It may be missed, or
// called before a late OnJoined, if messages between nodes are lost. At Shutdown of the only node it is called
// without grace, for objects that are in memory and were not evicted because code of the
// application kept Shutdown waiting. In everything else it is like OnJoined. The default does
// nothing.
func (o *Object[T]) OnLeft(context.Context, Member) {}
