package durableobject_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// A stalled socket uses no more memory than it may lag, however much is published, and receives
// all events in the end. The log is on disk, so that all measured memory is the socket's.
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

// Headers take many times as much memory as they do in a message. They count, and are held no
// longer than the call runs.
//
//nolint:paralleltest // looks at the heap
func TestMemoryOfHeadersIsBounded(t *testing.T) {
	const (
		pending = 200_000
		margin  = 200_000 // for everything else
	)
	small := make([]string, 256)
	for i := range small {
		small[i] = fmt.Sprintf(`"a%x":""`, i)
	}
	for name, header := range map[string]string{
		"many headers": strings.Join(small, ","),
		"many values":  `"a":["",` + strings.Repeat(`"",`, 254) + `""]`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, durableobject.Options{MaxPendingBytes: pending}, nil)
				c := f.connect("a")
				before := heap()
				go func() {
					for i := range 256 {
						frame := strings.Replace(fmt.Sprintf(hangFrame, i), `"p":{`, `"p":{"h":{`+header+`},`, 1)
						if c.ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
							return
						}
					}
				}()
				synctest.Wait()
				require.Less(t, heap(), before+pending+margin)
				c.drop()
				f.end()
			})
		})
	}
	t.Run("last event ids", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const count, size = 8, 1_000_000
			f := newFixture(t, durableobject.Options{}, nil)
			var clients []*rawClient
			for i := range count {
				clients = append(clients, f.connect(fmt.Sprint("client ", i)))
			}
			before := heap()
			for _, c := range clients {
				c.subscribe(lastEventID(strings.Repeat("x", size)))
			}
			synctest.Wait()
			require.Less(t, heap(), before+2*size, "one or two may still be in a buffer")
			for _, c := range clients {
				c.drop()
			}
			f.end()
		})
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
