package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		seen [][]string
		gaps int
		want report
	}{
		"good":          {[][]string{{"a", "b", "c"}, {"a", "b", "c"}}, 0, report{}},
		"unconfirmed":   {[][]string{{"a", "x", "b", "c"}, {"a", "x", "b", "c"}}, 0, report{}},
		"lost":          {[][]string{{"a", "b", "c"}, {"a", "c"}}, 0, report{lost: 1}},
		"lost by all":   {[][]string{{"a", "b"}, {"a", "b"}}, 0, report{lost: 2}},
		"repeated":      {[][]string{{"a", "b", "c"}, {"a", "a", "b", "c"}}, 0, report{repeated: 1}},
		"another order": {[][]string{{"a", "b", "c"}, {"a", "c", "b"}}, 0, report{reordered: 1}},
		"gaps":          {[][]string{{"a", "b", "c"}, {"a", "b", "c"}}, 1, report{gaps: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var watchers []*watcher
			for _, seen := range test.seen {
				watchers = append(watchers, &watcher{seen: seen, gaps: test.gaps})
			}
			var got report
			got.judge([]string{"a", "b", "c"}, watchers)
			require.Equal(t, test.want, got)
			require.Equal(t, reflect.ValueOf(test.want).IsZero(), got.verdict() == nil)
		})
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]report{
		"lost":      {lost: 1},
		"repeated":  {repeated: 1},
		"reordered": {reordered: 1},
		"a gap":     {gaps: 1},
		"ended":     {bad: 1},
		"consumers": {consumers: 1},
		"late":      {back: liveAgain + 1},
		"late once": {recoveries: []time.Duration{liveAgain, liveAgain + 1, 1}},
		"ids":       {ids: 1},
	} {
		require.Error(t, r.verdict(), name)
	}
	good := report{kills: 1, acknowledged: 1, failed: 1, back: liveAgain, recoveries: []time.Duration{liveAgain, 1}}
	require.NoError(t, good.verdict())
}
