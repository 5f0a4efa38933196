package eventlogtest

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// keyed returns a record with the given key and data.
func keyed(key, data string) *eventlog.Record {
	return &eventlog.Record{Key: key, Data: []byte(data)}
}

// repeat appends a record whose key has been used, and checks that it gets the position of
// the first one and is not delivered.
func (l *log) repeat(channel, key string, first *eventlog.Record) {
	l.t.Helper()
	r := keyed(key, "a repetition")
	err := l.Append(l.t.Context(), channel, r, func(*eventlog.Record) {
		l.t.Errorf("a repetition of the key %q was delivered", key)
	})
	if err != nil {
		l.t.Fatalf("Append with the key %q again: %v", key, err)
	}
	if r.Position() != first.Position() {
		l.t.Errorf("the repetition is at %v, the first record at %v", r.Position(), first.Position())
	}
}

// keyCases are not run for logs without keys.
var keyCases = map[string]func(*log){
	"a repetition stores nothing": func(l *log) {
		first := l.add("a", keyed("k", "x"))
		l.repeat("a", "k", first)
		l.complete("a", eventlog.Position{}, []*eventlog.Record{first})
	},
	"a repetition may come late": func(l *log) {
		first := l.add("a", keyed("k", "x"))
		all := append([]*eventlog.Record{first}, l.addN("a", 20)...)
		l.addN("b", 20)
		l.repeat("a", "k", first)
		l.complete("a", eventlog.Position{}, all)
	},
	"a repetition leaves no hole": func(l *log) {
		rs := []*eventlog.Record{l.add("a", keyed("k", "x"))}
		l.repeat("a", "k", rs[0])
		rs = append(rs, l.add("a", text("y")))
		chained(l.t, rs[0].Prev, rs)
		l.complete("a", rs[0].Position(), rs[1:])
	},
	"repetitions may be many": func(l *log) {
		first := l.add("a", keyed("k", "x"))
		for range 50 {
			l.repeat("a", "k", first)
		}
		l.complete("a", eventlog.Position{}, []*eventlog.Record{first})
	},
	"keys differ": func(l *log) {
		var rs []*eventlog.Record
		for _, key := range []string{"k", "K", "k ", "k\x00", "", "", "\xff", "\xfe", "é", "e\u0301"} {
			rs = append(rs, l.add("a", keyed(key, "x")))
		}
		chained(l.t, rs[0].Prev, rs)
		l.complete("a", eventlog.Position{}, rs)
	},
	"each channel has its own keys": func(l *log) {
		rooms := map[string]*eventlog.Record{}
		for _, name := range []string{"", "a", "a\x01", "ab"} {
			rooms[name] = l.add(name, keyed("bc", name))
		}
		// Joined with the name of the channel, the keys are equal to others.
		rooms["c"] = l.add("c", keyed("", "x"))
		l.add("", keyed("abc", "x"))
		c := l.add("ab", keyed("c", "x"))
		l.repeat("ab", "c", c)
		for _, name := range []string{"", "a", "a\x01", "ab"} {
			l.repeat(name, "bc", rooms[name])
		}
	},
	"a key may be as long as the limit": func(l *log) {
		longest := strings.Repeat("k", eventlog.MaxKeyBytes)
		first := l.add("a", keyed(longest, "x"))
		other := l.add("a", keyed(longest[1:]+"x", "y"))
		l.repeat("a", longest, first)
		l.repeat("a", longest[1:]+"x", other)
	},
	"a key that is too long stores nothing": func(l *log) {
		r := keyed(strings.Repeat("k", eventlog.MaxKeyBytes+1), "x")
		is(l.t, l.Append(l.t.Context(), "a", r, func(*eventlog.Record) { l.t.Error("delivered") }), eventlog.ErrKey)
		l.complete("a", eventlog.Position{}, nil)
	},
	"a failed append does not use its key": func(l *log) {
		is(l.t, l.Append(ended(l.t), "a", keyed("k", "x"), ignore), ended(l.t).Err())
		first := l.add("a", keyed("k", "y"))
		l.complete("a", eventlog.Position{}, []*eventlog.Record{first})
	},
	"an audience and metadata go with a key": func(l *log) {
		r := keyed("k", "x")
		r.Meta = []byte(`"retry":1`)
		r.Audience = eventlog.Audience{
			Tags: []string{"t"}, Targets: []eventlog.Recipient{{ID: "1"}}, Excludes: []eventlog.Recipient{{ID: "2"}},
		}
		l.add("a", r)
		l.complete("a", eventlog.Position{}, []*eventlog.Record{r})
		l.repeat("a", "k", r)
	},
	"one of several concurrent appends is stored": func(l *log) {
		const keys, times = 20, 25
		var mu sync.Mutex
		delivered := map[string]int{}
		positions := map[string][]eventlog.Position{}
		parallel(keys*times, func(i int) {
			key := strconv.Itoa(i % keys)
			r := keyed(key, key)
			err := l.Append(l.t.Context(), "a", r, func(r *eventlog.Record) {
				mu.Lock()
				defer mu.Unlock()
				delivered[string(r.Data)]++
			})
			if err != nil {
				l.t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			positions[key] = append(positions[key], r.Position())
		})
		rs, _ := l.after("a", eventlog.Position{})
		if len(rs) != keys || len(delivered) != keys {
			l.t.Fatalf("of %d keys %d records were stored, and %d keys were delivered", keys, len(rs), len(delivered))
		}
		for _, r := range rs {
			key := string(r.Data)
			if delivered[key] != 1 {
				l.t.Errorf("the record of key %s was delivered %d times", key, delivered[key])
			}
			for _, p := range positions[key] {
				if p != r.Position() {
					l.t.Errorf("the record of key %s is at %v, an append returned %v", key, r.Position(), p)
				}
			}
		}
	},
	"Head is not moved by a repetition": func(l *log) {
		first := l.add("a", keyed("k", "x"))
		head := l.head("a")
		l.repeat("a", "k", first)
		if p := l.head("a"); p != head {
			l.t.Errorf("the head went from %v to %v", head, p)
		}
	},
	"a key outlives its record": func(l *log) {
		first := l.add("a", keyed("k", "x"))
		l.add("b", text("y"))
		l.trim(first.Time.Add(time.Nanosecond))
		l.repeat("a", "k", first)
	},
}

// keyRetentionCases sleep, which takes no time in a bubble.
var keyRetentionCases = map[string]func(*log){
	"a key is remembered for the window": func(l *log) {
		window := eventlog.KeyWindow(l.Log)
		if window > l.retention {
			l.t.Fatalf("the window %v is longer than the retention %v", window, l.retention)
		}
		first := l.add("a", keyed("k", "x"))
		time.Sleep(window - l.moment)
		l.repeat("a", "k", first)
	},
	"a key is forgotten after the window": func(l *log) {
		window := eventlog.KeyWindow(l.Log)
		first := l.add("a", keyed("k", "x"))
		time.Sleep(window + window/4 + l.moment)
		again := l.add("a", keyed("k", "y"))
		if again.Seq <= first.Seq {
			l.t.Fatalf("the key is remembered after %v, for a window of %v", window+window/4, window)
		}
		l.repeat("a", "k", again)
	},
	"a repetition does not extend the window": func(l *log) {
		window := eventlog.KeyWindow(l.Log)
		first := l.add("a", keyed("k", "x"))
		for range 6 {
			time.Sleep(window / 4)
			r := keyed("k", "y")
			l.add("a", r)
			if r.Seq > first.Seq {
				return
			}
		}
		l.t.Error("a repetition has extended the window")
	},
}

// keyReopenCases are for logs that survive their process.
var keyReopenCases = map[string]func(*disk){
	"keys stay": func(d *disk) {
		l := d.log()
		rs := []*eventlog.Record{l.add("a", keyed("1", "x")), l.add("b", keyed("1", "x")), l.add("a", keyed("2", "x"))}
		for range 3 {
			l = d.reopen(l)
			l.repeat("a", "1", rs[0])
			l.repeat("b", "1", rs[1])
			l.repeat("a", "2", rs[2])
		}
		l.complete("a", eventlog.Position{}, []*eventlog.Record{rs[0], rs[2]})
		rs = append(rs, l.add("a", keyed("3", "x")))
		d.reopen(l).repeat("a", "3", rs[3])
	},
	"keys of dropped records are kept": func(d *disk) {
		l := d.log()
		first := l.add("a", keyed("k", "x"))
		l.trim(first.Time.Add(time.Hour))
		l = d.reopen(l)
		l.repeat("a", "k", first)
		d.reopen(l).repeat("a", "k", first)
	},
}

// sharedKeyCases are not run for logs without keys.
var sharedKeyCases = map[string]func(*nodes){
	"are shared by all handles": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		first := keyed("k", "x")
		if err := a.Append(n.t.Context(), "a", first, nil); err != nil {
			n.t.Fatal(err)
		}
		b.repeat("a", "k", first)
		last := b.publish("a", "last")[0]
		if got := seqs(f.upTo(last.Seq)); !slices.Equal(got, []uint64{first.Seq, last.Seq}) {
			n.t.Errorf("followed %v, want %d and %d", got, first.Seq, last.Seq)
		}
	},
	"are stored once when all handles use them at once": func(n *nodes) {
		handles := n.open(3)
		var followers []*recorder
		for _, h := range handles {
			followers = append(followers, h.follow("a"))
		}
		const times = 100
		positions := make([]eventlog.Position, times*len(handles))
		parallel(len(positions), func(i int) {
			r := keyed("k", "x")
			if err := handles[i%len(handles)].Append(n.t.Context(), "a", r, nil); err != nil {
				n.t.Error(err)
			}
			positions[i] = r.Position()
		})
		last := handles[0].publish("a", "last")[0]
		for _, f := range followers {
			if got := f.upTo(last.Seq); len(got) != 2 || got[0].Position() != positions[0] {
				n.t.Errorf("followed %v, want %v and %d", seqs(got), positions[0], last.Seq)
			}
		}
		for _, p := range positions {
			if p != positions[0] {
				n.t.Errorf("appends returned %v and %v", positions[0], p)
			}
		}
	},
}
