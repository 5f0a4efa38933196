package durableobject_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// A stalled socket holds no more memory than its lag, however much is published, and
// gets all of it in the end. The log is on disk, so that what is held is the socket's.
//
//nolint:paralleltest // looks at the heap
func TestMemoryOfAStalledSocketIsBounded(t *testing.T) {
	const (
		events = 2000
		size   = 10_000
		lag    = 100_000
		margin = 2 << 20 // for everything else
	)
	synctest.Test(t, func(t *testing.T) {
		log, err := filelog.Open(t.TempDir(), nil)
		require.NoError(t, err)
		f := newFixture(t, durableobject.Options{ResumeRetention: time.Hour, Log: log, MaxLagBytes: lag}, nil)
		stalled, read := f.stalled("slow")
		stalled.send(subscribeFrame)
		quick := f.connect("quick")
		quick.subscribe()
		synctest.Wait()
		pad := strings.Repeat("x", size)
		before := heap()
		for i := range events {
			f.publish(fmt.Sprint(i, pad))
			quick.sees(fmt.Sprint(i, pad))
		}
		require.Less(t, heap(), before+lag+margin, "%d MB were published", events*size>>20)
		go read()
		stalled.next()
		for i := range events {
			stalled.sees(fmt.Sprint(i, pad))
		}
		stalled.seesNothing()
		f.end()
		require.NoError(t, log.Close())
	})
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools have kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
