package eventlog_test

import (
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var payload = []byte(`{"json":{"message":"Hello, world!"}}`)

func BenchmarkAppend(b *testing.B) {
	bounds := map[string]eventlog.MemoryOptions{
		"unbounded": {MaxBytes: 1 << 40, MaxChannelBytes: 1 << 40},
		"full":      {MaxBytes: 1 << 20},
	}
	for name, options := range bounds {
		b.Run(name, func(b *testing.B) {
			log := eventlog.NewMemory(&options)
			b.ReportAllocs()
			for b.Loop() {
				if err := log.Append(b.Context(), "room", &eventlog.Record{Data: payload}, ignore); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	for _, channels := range []int{1, 1000} {
		b.Run(strconv.Itoa(channels)+" channels", func(b *testing.B) {
			names := make([]string, channels)
			for i := range names {
				names[i] = "room " + strconv.Itoa(i)
			}
			log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 64 << 20})
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					name := names[int(next.Add(1))%channels]
					if err := log.Append(b.Context(), name, &eventlog.Record{Data: payload}, ignore); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkAfter(b *testing.B) {
	const stored = 1_000_000
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 1 << 40, MaxChannelBytes: 1 << 40})
	var epoch string
	for range stored {
		r := &eventlog.Record{Data: payload}
		if err := log.Append(b.Context(), "room", r, ignore); err != nil {
			b.Fatal(err)
		}
		epoch = r.Epoch
	}
	for _, missed := range []int{0, 10, 1000, stored} {
		b.Run(strconv.Itoa(missed)+" of 1M", func(b *testing.B) {
			p := eventlog.Position{Epoch: epoch, Seq: uint64(stored - missed)}
			b.ReportAllocs()
			for b.Loop() {
				replay, err := log.After(b.Context(), "room", p)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for _, err := range replay.Records {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != missed {
					b.Fatalf("%d records", n)
				}
			}
		})
	}
}

// BenchmarkNewest reads the newest fifty records of a channel with a million records.
func BenchmarkNewest(b *testing.B) {
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxChannelBytes: 1 << 30})
	for range 1_000_000 {
		if err := log.Append(b.Context(), "room", &eventlog.Record{Data: payload}, ignore); err != nil {
			b.Fatal(err)
		}
	}
	times := make([]time.Duration, 0, 1<<20)
	for b.Loop() {
		start, n := time.Now(), 0
		replay, err := log.Newest(b.Context(), "room", eventlog.Position{})
		if err != nil {
			b.Fatal(err)
		}
		for range replay.Records { //nolint:errcheck // a log in memory that is open has no error
			if n++; n == 50 {
				break
			}
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
}
