package durableobject_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestModel runs random histories against an oracle that knows who must get what:
// nothing for somebody else, nothing lost, nothing twice, everything in order. No
// goroutine and no memory may be left over.
//
//	MODEL_HISTORIES=20000 go test -run TestModel ./durableobject
//	MODEL_FIRST=20000 go test -run TestModel ./durableobject   others than the first
//	MODEL_SEED=4711 go test -run TestModel ./durableobject     one history, to be read
//
// A seed does not decide in which order the goroutines of a history run. A history that
// fails only sometimes is found again with -count.
func TestModel(t *testing.T) {
	counts := &tally{}
	if text := os.Getenv("MODEL_SEED"); text != "" {
		runSeed(t, number(t, text), counts, true)
		return
	}
	histories := uint64(500)
	if text := os.Getenv("MODEL_HISTORIES"); text != "" {
		histories = number(t, text)
	}
	first := number(t, os.Getenv("MODEL_FIRST"))
	before := heapInUse()
	var next atomic.Uint64
	t.Run("histories", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker ", i), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= histories && !t.Failed(); n = next.Add(1) {
					runSeed(t, first+n, counts, false)
				}
			})
		}
	})
	t.Logf("%d histories had\n%s", histories, counts)
	if histories >= 500 && !t.Failed() {
		counts.check(t, histories)
		if left := heapInUse() - before; left > 20<<20 {
			t.Errorf("%d histories are over, and %d MiB of them still in memory", histories, left>>20)
		}
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // for what has a finalizer
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// runSeed runs one history. If it fails, runSeed leaves out as many steps as possible and reports
// the rest.
func runSeed(t *testing.T, seed uint64, counts *tally, tell bool) {
	t.Helper()
	steps := make([]int, 10+rand.New(rand.NewPCG(seed, 0)).IntN(50))
	for i := range steps {
		steps[i] = i
	}
	w, wrong := history(t, seed, counts, steps)
	if wrong == "" {
		if tell {
			t.Log(w.story())
		}
		return
	}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for from := 0; from < len(steps); {
			fewer := append(append([]int{}, steps[:from]...), steps[min(from+size, len(steps)):]...)
			if shorter, found := history(t, seed, counts, fewer); found != "" {
				steps, wrong, w = fewer, found, shorter
			} else {
				from += size
			}
		}
	}
	report(t, w, wrong)
}

// report reports the failure, the steps that led to it, and how to run them again.
func report(t *testing.T, w *world, wrong string) {
	t.Helper()
	t.Errorf("seed %d: %s\n%sagain: MODEL_SEED=%[1]d go test -run TestModel -count 20 -failfast ./durableobject", w.seed, wrong, w.story())
}

// history runs these steps of a seed in a bubble and returns the failure.
func history(t *testing.T, seed uint64, counts *tally, steps []int) (w *world, wrong string) {
	t.Helper()
	hangs := time.AfterFunc(time.Minute, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprint("seed ", seed, " hangs"))
	})
	defer hangs.Stop()
	defer func() {
		if v := recover(); v != nil { // of the bubble, if goroutines are left over
			if w != nil {
				report(t, w, cmp.Or(wrong, fmt.Sprint(v)))
			}
			panic(v)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w = newWorld(seed, counts)
		wrong = w.run(steps)
		if err := w.close(); err != nil && wrong == "" {
			wrong = fmt.Sprint("shutdown: ", err)
		}
	})
	return w, wrong
}

func (w *world) run(steps []int) (wrong string) {
	defer func() {
		v := recover()
		if f, ok := v.(failure); ok {
			wrong = string(f)
		} else if v != nil {
			panic(v)
		}
	}()
	for _, i := range steps {
		w.step(i)
	}
	w.end()
	return ""
}
