package eventlogtest

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Store describes how to open the logs of a store. Only Open is required. All functions are
// called by many tests at once. If they cannot open a log they must fail the test.
type Store struct {
	// Open returns a new, empty log.
	Open func(t *testing.T) eventlog.Log

	// ExactTrim means that Trim drops every record that is old enough, instead of only
	// those that the store can drop together. The suite then tests for that.
	ExactTrim bool

	// CoarseFloor means that the log has one floor and none for each channel: a position
	// may be truncated though only records of other channels were dropped after it, and the
	// Prev of the first record of a replay may be the log's floor.
	CoarseFloor bool

	// AnyFirst means that the Seq of the first record need not be 1.
	AnyFirst bool

	// OpenRetention returns a new, empty log that replays no event older than retention. It
	// is called in a bubble, with an hour, unless RealTime is set. If it is nil, retention
	// is not tested.
	OpenRetention func(t *testing.T, retention time.Duration) eventlog.Log

	// RealTime is for a log whose clock is not that of the process. The cases about
	// retention then run outside bubbles, with this retention, and the log may take an
	// eighth of it to drop old records. Zero means that they run in bubbles.
	RealTime time.Duration

	// OpenDir opens the log in dir, and creates it if dir is empty. It is called again for
	// the same dir after the log has been closed. If it is nil, durability is not tested.
	OpenDir func(t *testing.T, dir string) eventlog.Log
}

// Run tests the logs that open returns. It is RunStore for a store that neither limits the
// age of events nor survives its process.
func Run(t *testing.T, open func(t *testing.T) eventlog.Log) {
	t.Helper()
	RunStore(t, Store{Open: open})
}

// RunStore tests the logs of s. The cases about keys are not run if they are not
// [eventlog.Keyed].
func RunStore(t *testing.T, s Store) {
	t.Helper()
	use := func(t *testing.T, l eventlog.Log) *log { return useStore(t, l, s) }
	onEmptyLog := map[string]map[string]func(*log){
		"Append":      appendCases,
		"Audience":    audienceCases,
		"Cancel":      cancelCases,
		"Channel":     channelCases,
		"Close":       closeCases,
		"Concurrency": concurrencyCases,
		"Content":     contentCases,
		"Head":        headCases,
		"Newest":      newestCases,
		"Position":    positionCases,
		"Replay":      replayCases,
		"Trim":        trimCases,
	}
	if s.ExactTrim {
		onEmptyLog["ExactTrim"] = exactTrimCases
	}
	keys := s.hasKeys(t)
	if keys {
		onEmptyLog["Keys"] = keyCases
	}
	for group, cases := range onEmptyLog {
		t.Run(group, func(t *testing.T) {
			for name, run := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(use(t, s.Open(t)))
				})
			}
		})
	}
	t.Run("Logs", func(t *testing.T) {
		for name, run := range logsCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(use(t, s.Open(t)), use(t, s.Open(t)))
			})
		}
	})
	if s.OpenRetention != nil {
		runRetention(t, s, "Retention", retentionCases)
		if keys {
			runRetention(t, s, "KeyWindow", keyRetentionCases)
		}
	}
	if s.OpenDir != nil {
		runReopen(t, s, "Reopen", reopenCases)
		if keys {
			runReopen(t, s, "ReopenKeys", keyReopenCases)
		}
	}
}

func (s *Store) hasKeys(t *testing.T) bool {
	t.Helper()
	return eventlog.KeyWindow(use(t, s.Open(t)).Log) > 0
}

func runRetention(t *testing.T, s Store, group string, cases map[string]func(*log)) {
	t.Helper()
	t.Run(group, func(t *testing.T) {
		var sleeping sync.WaitGroup
		defer sleeping.Wait()
		for name, run := range cases {
			if s.RealTime > 0 { // concurrently, since they sleep
				sleeping.Go(func() {
					t.Run(name, func(t *testing.T) { run(useStore(t, s.OpenRetention(t, s.RealTime), s)) })
				})
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { run(useStore(t, s.OpenRetention(t, time.Hour), s)) })
			})
		}
	})
}

func runReopen(t *testing.T, s Store, group string, cases map[string]func(*disk)) {
	t.Helper()
	t.Run(group, func(t *testing.T) {
		for name, run := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(&disk{t: t, dir: t.TempDir(), open: s.OpenDir})
			})
		}
	})
}
