package durableobject_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// parlor is an object that records the calls of its presence hooks.
type parlor struct {
	*durableobject.Object[message]
	book *guestBook
	dead *atomic.Bool // its node was killed
}

func (h *parlor) OnJoined(_ context.Context, m durableobject.Member) { h.note("+" + m.ID) }
func (h *parlor) OnLeft(_ context.Context, m durableobject.Member)   { h.note("-" + m.ID) }

func (h *parlor) note(line string) {
	if !h.dead.Load() {
		h.book.note(line)
	}
}

// guestBook records the calls of hooks, on all nodes.
type guestBook struct {
	mu    sync.Mutex
	lines []string
	there map[string]int // joins minus leaves
}

func (b *guestBook) note(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	if b.there == nil {
		b.there = map[string]int{}
	}
	if b.there[line[1:]]++; line[0] == '-' {
		b.there[line[1:]] -= 2
	}
	if b.there[line[1:]] == 0 {
		delete(b.there, line[1:])
	}
}

// take returns the hooks that were called since the last call.
func (b *guestBook) take() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

func (b *guestBook) present() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name, n := range b.there {
		names = append(names, strings.TrimSuffix(fmt.Sprint(name, "*", n), "*1"))
	}
	slices.Sort(names)
	return names
}

// hallNode is a namespace of parlors.
type hallNode struct {
	*fixture
	halls *durableobject.Namespace[*parlor]
	dead  atomic.Bool
	bus   *eventlogtest.BusHandle // nil if it is alone
}

func newHallNode(t *testing.T, book *guestBook, o durableobject.Options) *hallNode {
	t.Helper()
	if o.Verifier == nil {
		o.Verifier = secret
	}
	n := &hallNode{fixture: &fixture{t: t, hooks: &roomHooks{}}}
	n.halls = durableobject.NewNamespace(func(_ context.Context, obj *durableobject.Object[message]) (*parlor, error) {
		return &parlor{obj, book, &n.dead}, nil
	}, &o)
	n.serve(durableobject.NewHandler(n.halls, nil))
	return n
}

func (n *hallNode) end() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(n.t, n.halls.Shutdown(ctx))
	for _, end := range n.ended {
		end()
	}
	if n.bus != nil {
		require.NoError(n.t, n.bus.Close())
	}
}

// kill cuts the node off from the bus and from its clients, and ignores its hooks from then on.
func (n *hallNode) kill() {
	n.dead.Store(true)
	n.bus.Cut(true)
	for ws := range n.hall().Websockets() {
		ws.Close(1001, "killed")
	}
	synctest.Wait()
}

func (n *hallNode) hall() *parlor {
	n.t.Helper()
	h, err := n.halls.Get(context.Background(), "room")
	require.NoError(n.t, err)
	return h
}

// members returns the ids of the members, in order.
func (n *hallNode) members(tags ...string) []string {
	n.t.Helper()
	synctest.Wait()
	p, err := n.hall().Presence(context.Background(), tags...)
	require.NoError(n.t, err)
	require.Empty(n.t, p.Silent)
	ids := []string{}
	for _, m := range p.Members {
		ids = append(ids, m.ID)
	}
	if len(tags) == 0 {
		require.Equal(n.t, len(ids), n.hall().PresenceCount())
	}
	return ids
}

// inHall runs a test on one namespace with presence, in a bubble.
func inHall(t *testing.T, o durableobject.PresenceOptions, test func(t *testing.T, n *hallNode, book *guestBook)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		book := &guestBook{}
		n := newHallNode(t, book, durableobject.Options{Presence: &o})
		test(t, n, book)
		n.end()
		require.Empty(t, book.present(), "all have left")
	})
}

// inHalls runs a test on several namespaces with presence that share a bus, in a bubble.
func inHalls(t *testing.T, count int, test func(t *testing.T, bus *eventlogtest.SharedBus, nodes []*hallNode, book *guestBook)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		book, bus := &guestBook{}, eventlogtest.NewSharedBus()
		var nodes []*hallNode
		for range count {
			nodes = append(nodes, newHallOn(t, bus, book))
			time.Sleep(time.Second) // the first one is the oldest
		}
		time.Sleep(time.Minute)
		test(t, bus, nodes, book)
		for _, n := range nodes {
			n.end()
		}
	})
}

func newHallOn(t *testing.T, bus *eventlogtest.SharedBus, book *guestBook) *hallNode {
	t.Helper()
	h := bus.Open()
	n := newHallNode(t, book, durableobject.Options{Presence: &durableobject.PresenceOptions{}, Bus: h})
	n.bus = h
	return n
}

func TestPresenceIsOff(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		f.connect("a")
		_, err := f.room("room").Presence(t.Context())
		require.ErrorIs(t, err, durableobject.ErrNoPresence)
		require.Zero(t, f.room("room").PresenceCount())
		for _, err := range f.room("room").PresenceChanges(t.Context()) {
			require.ErrorIs(t, err, durableobject.ErrNoPresence)
		}
	})
}

func TestPresence(t *testing.T) {
	inHall(t, durableobject.PresenceOptions{}, func(t *testing.T, n *hallNode, book *guestBook) {
		start := time.Now()
		n.connect("a", withTags("x"), withAtt(`{"name":"Ann"}`))
		time.Sleep(time.Second)
		n.connect("b", withTags("x", "y"), withAtt(`"`+strings.Repeat("n", 2000)+`"`))
		time.Sleep(time.Second)
		n.connect("a", withTags("z"), withAtt(`{"name":"Anna"}`))
		_, err := n.dial(map[string][]string{"id": {"elsewhere"}, "token": {sign(t, "other room")}})
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"+a", "+b", "+elsewhere"}, book.take())
		p, err := n.hall().Presence(t.Context())
		require.NoError(t, err)
		require.Len(t, p.Members, 2)
		for i, want := range []durableobject.Member{
			{
				Recipient: durableobject.Recipient{ID: "a"}, Tags: []string{"z"}, Att: json.RawMessage(`{"name":"Anna"}`),
				Since: start, Sockets: 2,
			},
			{Recipient: durableobject.Recipient{ID: "b"}, Tags: []string{"x", "y"}, Since: start.Add(time.Second), Sockets: 1},
		} {
			require.True(t, want.Since.Equal(p.Members[i].Since))
			p.Members[i].Since = want.Since
			require.Equal(t, want, p.Members[i])
		}
		require.Equal(t, []string{"b"}, n.members("x", "y"))
		require.Equal(t, []string{"a", "b"}, n.members("z", "y"))
		require.Empty(t, n.members("unknown"))
	})
}

// A member stays until the grace period has passed. A reload or a short interruption changes
// nothing.
func TestPresenceGrace(t *testing.T) {
	for name, test := range map[string]struct {
		option, grace time.Duration
	}{"default": {0, 5 * time.Second}, "none": {-1, 0}, "another": {time.Minute, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			inHall(t, durableobject.PresenceOptions{Grace: test.option}, func(t *testing.T, n *hallNode, book *guestBook) {
				c := n.connect("a")
				require.Equal(t, []string{"+a"}, book.take())
				for range 3 {
					c.drop()
					if test.grace > 0 {
						time.Sleep(test.grace - time.Millisecond)
						require.Equal(t, []string{"a"}, n.members())
						c = n.connect("a")
						require.Equal(t, []string{"a"}, n.members())
						require.Empty(t, book.take())
					}
				}
				c.drop()
				time.Sleep(test.grace)
				require.Empty(t, n.members())
				require.NotEmpty(t, book.take())
				n.connect("a")
				require.Equal(t, []string{"+a"}, book.take())
			})
		})
	}
}

// A new token of the client changes the member.
func TestPresenceAfterAnotherToken(t *testing.T) {
	inHall(t, durableobject.PresenceOptions{}, func(t *testing.T, n *hallNode, book *guestBook) {
		c := n.connect("a", withAtt(`1`))
		time.Sleep(time.Second)
		require.Empty(t, c.updateToken(withAtt(`2`)))
		p, err := n.hall().Presence(t.Context())
		require.NoError(t, err)
		require.JSONEq(t, `2`, string(p.Members[0].Att))
		require.Equal(t, []string{"+a"}, book.take())
	})
}

// listFollower applies changes to a list.
type listFollower struct {
	mu      sync.Mutex
	there   map[string]bool
	changes []string
	err     error
	stop    context.CancelFunc
	done    chan struct{}
}

func follow(n *hallNode) *listFollower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &listFollower{there: map[string]bool{}, stop: cancel, done: make(chan struct{})}
	changes := n.hall().PresenceChanges(ctx)
	go func() {
		defer close(f.done)
		for c, err := range changes {
			f.mu.Lock()
			switch {
			case err != nil:
				f.err = err
			case c.Kind == durableobject.PresenceLeft && !f.there[c.Member.ID],
				c.Kind == durableobject.PresenceJoined && f.there[c.Member.ID],
				c.Kind == durableobject.PresenceChanged && !f.there[c.Member.ID]:
				f.changes = append(f.changes, "impossible")
			default:
				f.there[c.Member.ID] = c.Kind != durableobject.PresenceLeft
			}
			if err == nil {
				f.changes = append(f.changes, string(c.Kind)+" "+c.Member.ID)
			}
			f.mu.Unlock()
		}
	}()
	synctest.Wait()
	return f
}

func (f *listFollower) take() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := f.changes
	f.changes = nil
	return changes
}

func (f *listFollower) list() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := []string{}
	for id, there := range f.there {
		if there {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestPresenceChanges(t *testing.T) {
	inHall(t, durableobject.PresenceOptions{}, func(t *testing.T, n *hallNode, _ *guestBook) {
		a := n.connect("a")
		f := follow(n)
		require.Equal(t, []string{"joined a"}, f.take())
		b := n.connect("b")
		n.connect("b")
		require.Subset(t, []string{"joined b", "changed b"}, f.take())
		b.drop()
		require.Equal(t, []string{"changed b"}, f.take())
		a.drop()
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"changed a", "left a"}, f.take())
		f.stop()
		<-f.done
		require.ErrorIs(t, f.err, context.Canceled)
	})
}

func TestPresenceChangesEndWithTheNamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newHallNode(t, &guestBook{}, durableobject.Options{Presence: &durableobject.PresenceOptions{}})
		f := follow(n)
		n.end()
		<-f.done
		require.ErrorIs(t, f.err, durableobject.ErrClosed)
	})
}
