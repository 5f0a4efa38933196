package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var broadcastCases = map[string]func(*buses){
	"reaches every listener, including its own": func(b *buses) {
		here, there := b.two()
		ears := []*ear{b.listen(here, "t"), b.listen(there, "t"), b.listen(there, "t")}
		b.broadcast(here, "t", "a")
		b.broadcast(there, "t", "b")
		for _, e := range ears {
			e.hears("a", "b")
		}
	},
	"reaches no other topic": func(b *buses) {
		here, there := b.two()
		names := []string{"t", "t.", "t.x", "t*", "T", "t ", ".", "*", ">", "ü\x00\n"}
		ears := map[string]*ear{}
		for _, name := range names {
			ears[name] = b.listen(there, name)
		}
		for _, name := range names {
			b.broadcast(here, name, name)
		}
		for _, name := range names {
			ears[name].hears(name)
		}
	},
	"without listeners returns no error": func(b *buses) {
		here, _ := b.two()
		b.broadcast(here, "nobody", "a")
	},
	"carries empty and binary data": func(b *buses) {
		here, there := b.two()
		e := b.listen(there, "t")
		b.broadcast(here, "t", "")
		b.broadcast(here, "t", "\x00\xff\n")
		e.hears("", "\x00\xff\n")
	},
	"copies the data": func(b *buses) {
		here, there := b.two()
		e := b.listen(there, "t")
		data := []byte("a")
		b.must(here.Broadcast(b.t.Context(), "t", data))
		data[0] = 'x'
		e.hears("a")
	},
	"ends with stop": func(b *buses) {
		here, there := b.two()
		stopped, open := b.listen(there, "t"), b.listen(there, "t")
		stopped.stop()
		stopped.stop()
		b.broadcast(here, "t", "a")
		open.hears("a")
		stopped.hears()
	},
	"calls no listener after stop has returned": func(b *buses) {
		here, there := b.two()
		var calls, ended atomic.Int32
		running := make(chan struct{}, 1)
		stop, err := there.Listen(b.t.Context(), "t", func([]byte) {
			calls.Add(1)
			select {
			case running <- struct{}{}:
			default:
			}
			<-time.After(20 * time.Millisecond)
			ended.Add(1)
		})
		b.must(err)
		open := b.listen(there, "t")
		for range 10 { // most of them wait when stop is called
			b.broadcast(here, "t", "a")
		}
		select {
		case <-running:
		case <-time.After(patience):
			b.t.Fatal("fn was not called")
		}
		stop()
		if called, done := calls.Load(), ended.Load(); called != done {
			b.t.Errorf("%d calls have begun and %d have ended when stop returns", called, done)
		}
		before := calls.Load()
		b.broadcast(here, "t", "b")
		open.hearsAlso("b")
		<-time.After(50 * time.Millisecond) // enough for a call that was about to run
		if n := calls.Load() - before; n > 0 {
			b.t.Errorf("%d calls after stop has returned", n)
		}
	},
	"continues after a listener has panicked": func(b *buses) {
		here, there := b.two()
		var calls atomic.Int32
		stop, err := there.Listen(b.t.Context(), "t", func([]byte) {
			if calls.Add(1)%2 == 1 {
				panic("a listener of the test panics")
			}
		})
		b.must(err)
		other := b.listen(there, "t")
		b.broadcast(here, "t", "a")
		other.hearsAlso("a")
		b.broadcast(here, "t", "b")
		other.hearsAlso("b")
		for deadline := time.Now().Add(patience); calls.Load() < 2; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				b.t.Fatalf("%d calls of the listener that panics, want 2", calls.Load())
			}
		}
		stop()
	},
	"fails with its context": func(b *buses) {
		here, _ := b.two()
		ctx, cancel := context.WithCancel(b.t.Context())
		cancel()
		errs := []error{here.Broadcast(ctx, "t", nil), here.Keep(ctx, "k", nil, time.Minute)}
		_, err := here.Listen(ctx, "t", func([]byte) {})
		errs = append(errs, err)
		_, err = here.Kept(ctx, "")
		for i, err := range append(errs, err) {
			if !errors.Is(err, context.Canceled) {
				b.t.Errorf("call %d: %v", i, err)
			}
		}
	},
}

var keepCases = map[string]func(*buses){
	"is seen by every handle": func(b *buses) {
		here, there := b.two()
		b.keep(here, "a/1", "one", time.Hour)
		b.keep(there, "a/2", "two", time.Hour)
		b.keep(there, "b", "", time.Hour)
		want := map[string]string{"a/1": "one", "a/2": "two"}
		b.keeps(here, "a/", want)
		b.keeps(there, "a/", want)
		want["b"] = ""
		b.keeps(b.Handle(b.t), "", want) // one that was opened later
	},
	"replaces": func(b *buses) {
		here, there := b.two()
		b.keep(here, "k", "old", time.Hour)
		b.keep(there, "k", "new", time.Hour)
		b.keeps(here, "k", map[string]string{"k": "new"})
	},
	"removes": func(b *buses) {
		here, there := b.two()
		b.keep(here, "k", "v", time.Hour)
		b.keep(there, "k", "", 0)
		b.keep(there, "other", "", -1)
		b.keeps(here, "", map[string]string{})
	},
	"expires after its ttl": func(b *buses) {
		here, there := b.two()
		b.keep(here, "short", "v", time.Second)
		b.keep(here, "long", "v", time.Hour)
		b.keep(here, "longer", "v", time.Second)
		b.keep(here, "longer", "v", time.Hour)
		b.keep(here, "longest", "v", math.MaxInt64)
		want := map[string]string{"long": "v", "longer": "v", "longest": "v"}
		for deadline := time.Now().Add(patience); ; {
			if got := b.kept(there, ""); maps.Equal(got, want) {
				return
			} else if time.Now().After(deadline) {
				b.t.Fatalf("Kept = %v, want %v", got, want)
			}
			<-time.After(100 * time.Millisecond)
		}
	},
	"accepts any keys": func(b *buses) {
		here, there := b.two()
		want := map[string]string{}
		for _, key := range []string{"a.b", "a*", "a>", "a b", "a/b", "ä\x00\n\"", "A", "a", ".", "$", "="} {
			b.keep(here, key, "of "+key, time.Hour)
			want[key] = "of " + key
		}
		b.keeps(there, "", want)
		b.keeps(there, "a.", map[string]string{"a.b": "of a.b"})
	},
	"keeps a thousand values of many writers": func(b *buses) {
		here, there := b.two()
		var writers sync.WaitGroup
		for w := range 10 {
			writers.Go(func() {
				for i := range 100 {
					bus := []eventlog.Bus{here, there}[i%2]
					if err := bus.Keep(b.t.Context(), fmt.Sprintf("%d/%d", w, i), []byte("v"), time.Hour); err != nil {
						b.t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		if n := len(b.kept(there, "")); n != 1000 {
			b.t.Errorf("%d values are kept", n)
		}
	},
}

var busPrefixCases = map[string]func(*buses){
	"separates": func(b *buses) {
		here, there := b.two()
		x, y := eventlog.PrefixBus(here, "x/"), eventlog.PrefixBus(there, "y/")
		ex, ey, all := b.listen(eventlog.PrefixBus(there, "x/"), "t"), b.listen(y, "t"), b.listen(there, "x/t")
		b.broadcast(x, "t", "to x")
		b.broadcast(y, "t", "to y")
		ex.hears("to x")
		ey.hears("to y")
		all.hears("to x")
		b.keep(x, "k", "x", time.Hour)
		b.keep(y, "k", "y", time.Hour)
		b.keeps(x, "", map[string]string{"k": "x"})
		b.keeps(y, "k", map[string]string{"k": "y"})
		b.keeps(there, "", map[string]string{"x/k": "x", "y/k": "y"})
	},
}

var busLimitCases = map[string]func(*buses){
	"accepts the largest": func(b *buses) {
		here, there := b.two()
		data := string(bytes.Repeat([]byte("x"), eventlog.MaxBusBytes))
		name := strings.Repeat("n", eventlog.MaxBusName)
		e := b.listen(there, name)
		b.broadcast(here, name, data)
		e.hears(data)
		b.keep(here, name, data, time.Hour)
		b.keeps(there, name, map[string]string{name: data})
	},
	"refuses more": func(b *buses) {
		here, _ := b.two()
		data, name := make([]byte, eventlog.MaxBusBytes+1), strings.Repeat("n", eventlog.MaxBusName+1)
		ctx := b.t.Context()
		for i, err := range []error{
			here.Broadcast(ctx, "t", data), here.Keep(ctx, "k", data, time.Hour),
			here.Broadcast(ctx, name, nil), here.Keep(ctx, name, nil, time.Hour),
		} {
			if !errors.Is(err, eventlog.ErrTooLarge) {
				b.t.Errorf("call %d: %v", i, err)
			}
		}
		for i, err := range []error{here.Broadcast(ctx, "", nil), here.Keep(ctx, "", nil, time.Hour)} {
			if err == nil {
				b.t.Errorf("call %d accepted an empty name", i)
			}
		}
		b.keeps(here, "", map[string]string{})
	},
}

var busCutCases = map[string]func(*buses){
	"fails while it is cut off, and works again afterwards": func(b *buses) {
		here, there := b.two()
		e := b.listen(here, "t")
		b.keep(there, "k", "before", time.Hour)
		b.Cut(here, true)
		ctx, cancel := context.WithTimeout(b.t.Context(), patience)
		defer cancel()
		if err := here.Keep(ctx, "k", nil, time.Hour); !errors.Is(err, eventlog.ErrUnavailable) {
			b.t.Errorf("Keep: %v", err)
		}
		if _, err := here.Kept(ctx, ""); !errors.Is(err, eventlog.ErrUnavailable) {
			b.t.Errorf("Kept: %v", err)
		}
		if versioned, ok := here.(eventlog.Versioned); ok {
			if _, err := versioned.KeptVersion(ctx); !errors.Is(err, eventlog.ErrUnavailable) {
				b.t.Errorf("KeptVersion: %v", err)
			}
		}
		b.broadcast(there, "t", "missed")
		b.keep(there, "k", "meanwhile", time.Hour)
		b.Cut(here, false)
		b.keeps(here, "", map[string]string{"k": "meanwhile"})
		b.broadcast(there, "t", "after")
		e.hearsAlso("after") // an earlier message may arrive too
	},
}

// reopenBus tests a bus whose values survive its process.
func reopenBus(t *testing.T, open func(t *testing.T, dir string) (eventlog.Bus, func())) {
	t.Helper()
	dir, b := t.TempDir(), &buses{t: t}
	bus, shut := open(t, dir)
	b.keep(bus, "kept", "old", time.Hour)
	b.keep(bus, "kept", "new", time.Hour)
	b.keep(bus, "removed", "v", time.Hour)
	b.keep(bus, "removed", "", 0)
	b.keep(bus, "short", "v", time.Millisecond)
	shut()
	<-time.After(10 * time.Millisecond)
	want := map[string]string{"kept": "new"}
	for range 3 {
		bus, shut = open(t, dir)
		b.keeps(bus, "", want)
		b.keep(bus, strconv.Itoa(len(want)), "v", time.Hour)
		want[strconv.Itoa(len(want))] = "v"
		shut()
		if _, err := bus.Kept(t.Context(), ""); !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("Kept of a closed bus: %v", err)
		}
		if err := bus.Keep(t.Context(), "k", nil, time.Hour); !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("Keep of a closed bus: %v", err)
		}
	}
}
