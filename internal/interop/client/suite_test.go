package main

import (
	"context"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	passes, fails := func(*T) {}, func(t *T) { t.failf("wrong") }
	for name, c := range map[string]struct {
		suite  suite
		checks []check
		want   string // what is printed
		failed bool
	}{
		"all pass": {
			checks: []check{{name: "a", run: passes}, {name: "b", run: passes}},
			want:   "ok    a\nok    b\n2 passed, 0 failed\n",
		},
		"one fails": {
			checks: []check{{name: "a", run: fails}, {name: "b", run: passes}},
			want:   "FAIL  a: wrong\nok    b\n1 passed, 1 failed\n",
			failed: true,
		},
		"some are asked for": {
			suite:  suite{only: "b"},
			checks: []check{{name: "a", run: fails}, {name: "abc", run: passes}},
			want:   "ok    abc\n1 passed, 0 failed\n",
		},
		"none is": {
			suite:  suite{only: "x"},
			checks: []check{{name: "a", run: passes}},
			want:   "0 passed, 0 failed\n",
			failed: true,
		},
		"extensions do not count": {
			checks: []check{{name: "a", run: passes}, {name: "b", run: fails, extension: true}, {name: "c", run: passes, extension: true}},
			want:   "ok    a\nlacks b (extension): wrong\nok    c (extension)\n1 passed, 0 failed\n",
		},
		"extensions count": {
			suite:  suite{extensions: true},
			checks: []check{{name: "b", run: fails, extension: true}, {name: "c", run: passes, extension: true}},
			want:   "FAIL  b (extension): wrong\nok    c (extension)\n1 passed, 1 failed\n",
			failed: true,
		},
		"weaknesses do not count": {
			checks: []check{{name: "a", run: passes}, {name: "b", run: fails, weakness: "W1"}},
			want:   "ok    a\nlacks b (W1): wrong; known: it replays events in the order of their ids as strings\n1 passed, 0 failed\n",
		},
		"weaknesses count": {
			suite:  suite{extensions: true},
			checks: []check{{name: "b", run: fails, weakness: "W1"}},
			want:   "FAIL  b (W1): wrong\n0 passed, 1 failed\n",
			failed: true,
		},
		"several lines": {
			checks: []check{{name: "a", run: func(t *T) { t.ok(errors.Join(errors.New("one"), errors.New("two"))) }}},
			want:   "FAIL  a: one; two\n0 passed, 1 failed\n",
			failed: true,
		},
		"out of time": {
			checks: []check{{name: "a", run: func(t *T) { t.until("never", func() bool { return false }) }}},
			want:   "FAIL  a: waiting for never: context deadline exceeded\n0 passed, 1 failed\n",
			failed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				c.suite.out, c.suite.patience = &out, time.Second
				err := c.suite.run(t.Context(), c.checks, target{})
				require.Equal(t, c.want, out.String())
				require.Equal(t, c.failed, err != nil, "%v", err)
			})
		})
	}
}

// A check that does not return is left running.
func TestSuiteHangingCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		s := suite{patience: time.Second}
		start := time.Now()
		err := s.outcome(t.Context(), check{run: func(*T) { <-never }}, target{})
		require.ErrorContains(t, err, "hangs")
		require.Equal(t, time.Second+grace, time.Since(start))
	})
}

func TestSuitePanic(t *testing.T) {
	t.Parallel()
	s := suite{patience: time.Minute}
	tidied := false
	err := s.outcome(t.Context(), check{run: func(c *T) {
		c.cleanup(func() { tidied = true })
		panic("a fault of the check")
	}}, target{})
	require.ErrorContains(t, err, "a fault of the check")
	require.True(t, tidied)
}

func TestSuiteInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	s := suite{out: &out, patience: time.Minute}
	err := s.run(ctx, []check{{name: "a", run: func(*T) { cancel() }}, {name: "b", run: func(*T) {}}}, target{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "ok    a\n1 passed, 0 failed\n", out.String())
}

// The assertions end a check if values differ, and only then.
func TestAssertions(t *testing.T) {
	t.Parallel()
	sent := &rpc.Error{Code: rpc.CodeForbidden, Message: "no"}
	invalid := &rpc.Error{Code: rpc.CodeBadRequest, Status: 400, Message: "Input validation failed", Data: rpc.ValidationIssues{}}
	for name, c := range map[string]struct {
		run  func(*T)
		want string // in the failure; empty: there is none
	}{
		"no error":               {func(t *T) { t.ok(nil) }, ""},
		"error":                  {func(t *T) { t.ok(errors.New("wrong")) }, "wrong"},
		"so":                     {func(t *T) { t.assertf(true, "it is") }, ""},
		"not so":                 {func(t *T) { t.assertf(false, "it is %d", 7) }, "it is 7"},
		"equal":                  {func(t *T) { t.equal(math.NaN(), math.NaN()) }, ""},
		"not equal":              {func(t *T) { t.equal(big.NewInt(1), 1.0) }, "got bigint 1, want number 1"},
		"refused":                {func(t *T) { t.forbidden(sent) }, ""},
		"not refused":            {func(t *T) { t.forbidden(nil) }, "the error is from the server"},
		"refused otherwise":      {func(t *T) { t.refused(sent, rpc.Error{Code: rpc.CodeForbidden, Status: 401}) }, "want FORBIDDEN, status 401"},
		"refused by other words": {func(t *T) { t.refused(sent, rpc.Error{Code: rpc.CodeForbidden, Status: 403, Message: "yes"}) }, `"no", want`},
		"no issues":              {func(t *T) { t.invalid(invalid) }, "there are issues"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suite{patience: time.Minute}
			err := s.outcome(t.Context(), check{run: c.run}, target{})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range samples() {
		text := describe(s.value)
		require.Equal(t, text, describe(s.value))
		require.Empty(t, seen[text], s.name)
		seen[text] = s.name
	}
	require.NotEqual(t, describe(event{"m", 1.0}), describe(event{"m", big.NewInt(1)}))
	require.NotEqual(t, describe([]string{"a", "b"}), describe([]string{"a, b"}))
}
