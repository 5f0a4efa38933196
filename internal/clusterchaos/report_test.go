package main

import (
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
				watchers = append(watchers, &watcher{seen: sightings(seen...), gaps: test.gaps})
			}
			var got report
			got.judge(sightings("a", "b", "c"), watchers, nil)
			require.Equal(t, test.want, got)
			require.Equal(t, test.want == report{}, got.verdict() == nil)
		})
	}
}

// sightings returns events that were seen, or acknowledged, at the same time.
func sightings(events ...string) []sighting {
	all := make([]sighting, 0, len(events))
	for _, e := range events {
		all = append(all, sighting{event: e})
	}
	return all
}

func TestDelay(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	faults := []span{{at(10), at(20)}, {at(30), at(40)}}
	for name, test := range map[string]struct{ acknowledged, seen, want int }{
		"nothing broken":       {5, 6, 1},
		"seen first":           {5, 4, -1},
		"during a fault":       {15, 23, 3},
		"seen during it":       {15, 16, -4},
		"just before a fault":  {29, 41, 12},
		"over the next fault":  {15, 45, 25},
		"during the last":      {35, 41, 1},
		"after all":            {50, 53, 3},
		"at the end of one":    {20, 21, 1},
		"at the begin of one":  {30, 31, 1},
		"as the fault is over": {40, 40, 0},
	} {
		require.Equal(t, time.Duration(test.want)*time.Second, delay(at(test.acknowledged), at(test.seen), faults), name)
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
		"late once": {slowest: liveAgain + 1},
		"ids":       {ids: 1},
	} {
		require.Error(t, r.verdict(), name)
	}
	good := report{kills: 1, acknowledged: 1, failed: 1, back: liveAgain, slowest: liveAgain}
	require.NoError(t, good.verdict())
}
