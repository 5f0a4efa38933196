package durableobject

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Presence returns the clients that are connected to the object, on all nodes: those that have one
// of the tags, or all of them if there are no tags. The answer is what this node knows; the other
// nodes keep it up to date. A node that has just started waits for them for at most 250 ms. The
// members of a node that was killed are removed within 30 s. Nodes without a common bus do not know
// each other's members: see Options.Bus.
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

// PresenceCount returns the number of members that this node knows. It does not wait, and takes the
// same time for any number. It returns 0 without Options.Presence.
func (o *Object[T]) PresenceCount() int {
	p := o.channels.core.members
	if p == nil {
		return 0
	}
	return p.count(o.name)
}

// PresenceChanges yields the members of the object and then each change of them, until ctx ends,
// whose error it yields last. If the loop is slow, it is only passed the newest change of each
// member. It is for methods that return streams, so that a page shows the list as it changes:
// see [HandleEvents]. It can be ranged over again, from the beginning.
//
// Every loop begins with all members as [PresenceJoined], so a member that left between two loops
// appears in neither. Begin each loop with an empty list. A method should send an event of its own
// first, on which clients empty their lists: a call with rpc.WithRetry opens the stream again without
// ending the client's loop.
//
// While a loop does not continue, the list and the changes since are kept in memory: at most 10,000
// changes more than there are members, of about 300 bytes each. Options.MaxStreams limits the number
// of such streams of a socket.
//
// The error can also be [ErrNoPresence], [ErrPresenceLag], or [ErrClosed] when the namespace is
// shutting down.
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

// OnJoined is called when a client has become a member: its first socket, on any node, is open. It
// is called at least once, usually on the node of the socket. It is called twice if the client
// connects to two nodes at the same time, if messages between nodes are lost, or if the node is
// killed while the call is running or queued: another node then calls it. If such a message is late or
// lost, OnLeft may also have been called in between.
//
// On each node, the calls of OnJoined and OnLeft of an object are made one after the other, in order:
// a call that blocks delays the next. At most 100,000 calls are queued on a node, 50,000 of them for
// one object; further calls are dropped, which is logged at most every 10 s. ctx ends after
// Options.HookTimeout; a panic is logged. OnJoined requires Options.Presence. The default does
// nothing; declare the method on your own type to replace it.
func (o *Object[T]) OnJoined(context.Context, Member) {}

// OnLeft is called when a member has left: its last socket, on all nodes, has closed, and the grace
// period has passed. It is called at least once. If its node is killed, also while the call is running
// or queued, another node calls it; if there is no other node, nobody does. It may not be called, or
// be called before a late OnJoined, if messages between nodes are lost. At Shutdown of the only node
// it is called without a grace period, for objects that are in memory, unless they were evicted
// because code of the application did not let Shutdown finish in time. Otherwise it is like OnJoined.
// The default does nothing.
func (o *Object[T]) OnLeft(context.Context, Member) {}
