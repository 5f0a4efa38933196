package durableobject_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestModel runs random histories against an oracle that knows who must get what:
// nothing for somebody else, nothing lost, nothing twice, everything in order.
//
//	MODEL_HISTORIES=20000 go test -run TestModel ./durableobject
//	MODEL_SEED=4711 go test -run TestModel ./durableobject   one history, to be read
func TestModel(t *testing.T) {
	if text := os.Getenv("MODEL_SEED"); text != "" {
		runSeed(t, number(t, text), true)
		return
	}
	histories := uint64(500)
	if text := os.Getenv("MODEL_HISTORIES"); text != "" {
		histories = number(t, text)
	}
	first := number(t, os.Getenv("MODEL_FIRST"))
	var next atomic.Uint64
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker ", i), func(t *testing.T) {
			t.Parallel()
			for n := next.Add(1); n <= histories && !t.Failed(); n = next.Add(1) {
				runSeed(t, first+n, false)
			}
		})
	}
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

// runSeed runs one history. If something is wrong it leaves out what steps it can
// and tells the story.
func runSeed(t *testing.T, seed uint64, tell bool) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("seed %d", seed)
			panic(v)
		}
	}()
	steps := make([]int, 10+rand.New(rand.NewPCG(seed, 0)).IntN(50))
	for i := range steps {
		steps[i] = i
	}
	wrong, story := history(t, seed, steps)
	if wrong == "" {
		if tell {
			t.Log(story)
		}
		return
	}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for from := 0; from < len(steps); {
			fewer := append(append([]int{}, steps[:from]...), steps[min(from+size, len(steps)):]...)
			if found, shorter := history(t, seed, fewer); found != "" {
				steps, wrong, story = fewer, found, shorter
			} else {
				from += size
			}
		}
	}
	t.Errorf("seed %d: %s\n%s", seed, wrong, story)
}

// history runs these steps of a seed in a bubble, and gives what is wrong and how it
// came to that.
func history(t *testing.T, seed uint64, steps []int) (wrong, story string) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed)
		wrong = w.run(steps)
		if err := w.close(); err != nil && wrong == "" {
			wrong = fmt.Sprint("shutdown: ", err)
		}
		if wrong != "" || os.Getenv("MODEL_SEED") != "" {
			story = w.story()
		}
	})
	return wrong, story
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
