package host

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// writeStats returns unused memory to the system and responds with the memory in use.
func writeStats(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		debug.FreeOSMemory()
	}
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/sched/goroutines:goroutines"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	_ = json.NewEncoder(w).Encode(map[string]uint64{
		"rss": resident(), "heap_live": samples[0].Value.Uint64(), "stacks": samples[1].Value.Uint64(),
		"goroutines": samples[2].Value.Uint64(), "gcs": samples[3].Value.Uint64(),
	})
}

// resident returns the resident memory of the process in bytes, or 0 if the system does not report it.
func resident() uint64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
