package durableobject_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/token"
)

// Two namespaces on one log receive each other's events, and the second one logs a warning.
func TestNamespacesOnOneLog(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second func(eventlog.Log) eventlog.Log
		ended         bool // the first, before the second
		warns         bool
	}{
		"without a prefix":      {warns: true},
		"the second has one":    {second: prefix("b/")},
		"each has one":          {first: prefix("a/"), second: prefix("b/")},
		"one after the other":   {ended: true},
		"a log that is a value": {first: uncomparable, second: uncomparable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := eventlog.NewMemory(nil)
				book := &logBook{}
				open := func(view func(eventlog.Log) eventlog.Log) *durableobject.Namespace[*durableobject.Object[message]] {
					o := durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, Log: log, Logger: book.logger()}
					if view != nil {
						o.Log = view(log)
					}
					return durableobject.NewNamespace(
						func(_ context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
							return o, nil
						}, &o)
				}
				first := open(tc.first)
				if tc.ended {
					require.NoError(t, first.Shutdown(t.Context()))
				}
				second := open(tc.second)
				synctest.Wait()
				if tc.warns {
					require.Contains(t, book.String(), "another namespace uses the same log")
				} else {
					require.NotContains(t, book.String(), "level=WARN")
				}
				require.NoError(t, first.Shutdown(t.Context()))
				require.NoError(t, second.Shutdown(t.Context()))
				require.NoError(t, log.Close())
			})
		})
	}
}

func prefix(p string) func(eventlog.Log) eventlog.Log {
	return func(log eventlog.Log) eventlog.Log { return eventlog.Prefix(log, p) }
}

// uncomparable returns a log that cannot be the key of a map.
func uncomparable(log eventlog.Log) eventlog.Log {
	return struct {
		eventlog.Log
		names []string
	}{log, nil}
}

func TestEmptySecretIsNoVerifier(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "durableobject: NewNamespace: Verifier is an empty token.Secret, which verifies nothing", func() {
		durableobject.NewNamespace(
			func(_ context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
				return o, nil
			},
			&durableobject.Options{Verifier: token.Secret("")})
	})
}

// A warning is logged for a log that drops events before ResumeRetention has passed.
func TestLogThatKeepsEventsTooShortly(t *testing.T) {
	for name, tc := range map[string]struct {
		retention time.Duration
		warns     bool
	}{
		"shorter":  {time.Minute - 1, true},
		"equal":    {time.Minute, false},
		"no limit": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			book := &logBook{}
			log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: tc.retention})
			o := durableobject.Options{Log: eventlog.Prefix(log, "a/"), ResumeRetention: time.Minute, Logger: book.logger()}
			bubble(t, o, func(t *testing.T, _ *fixture) {
				synctest.Wait()
				require.Equal(t, tc.warns, strings.Contains(book.String(), "less than ResumeRetention"))
			})
			require.NoError(t, log.Close())
		})
	}
}
