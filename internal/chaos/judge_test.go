package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
)

const (
	keptRoom  = 0
	briefRoom = rooms - 1
)

// story returns the record of one room in a test: 8 events of a first run of the server, 4
// of a second one, one more that was not acknowledged, and the last one of a third. Each
// run starts a minute after the one before.
func story(start time.Time) *record {
	r := &record{}
	for run, events := range []int{8, 5, 1} {
		r.begin()
		r.tell(events, run == 2)
		r.bursts[run][0].at = start.Add(time.Duration(run) * time.Minute)
		acked := events
		if run == 1 {
			acked = 4
		}
		for room := range rooms {
			for n := range acked {
				r.ack(mark{Room: room, Run: run + 1, Number: n + 1, Last: run == 2})
			}
		}
	}
	return r
}

// told returns the items that an iterator has yielded, from a string: "1/3" is an event by
// its place, from which its number in the log is derived, "gap" is a gap 3 s after the
// third run began, and "early" is one after 1 s.
func told(text string, start time.Time) (items []item) {
	last := "e-0"
	for word := range strings.FieldsSeq(text) {
		if after, ok := map[string]time.Duration{"gap": 3 * time.Second, "early": time.Second}[word]; ok {
			lost := &client.GapError{Reason: client.GapTruncated, LastEventID: last}
			at := start.Add(2*time.Minute + after)
			items = append(items, item{gap: &gap{lost, at, at}})
			continue
		}
		run, number, _ := strings.Cut(word, "/")
		p := place{atoi(run), atoi(number)}
		seq := uint64(p.run*100 + p.number)
		last = "e-" + strconv.FormatUint(seq, 10)
		items = append(items, item{place: p, seq: seq})
	}
	return items
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// Member 0 has no tags and is a target; it receives the events 2, 4, 5, 6, 7 and 8 of a run.
func TestJudge(t *testing.T) {
	type faults struct{ lost, repeated, reordered, foreign, phantoms, undue, excused int }
	cases := map[string]struct {
		room int
		got  string
		want faults
	}{
		"all is well":              {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1", faults{}},
		"an unacked event":         {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 2/5 3/1", faults{}},
		"one is missing":           {keptRoom, "1/2 1/4 1/6 1/7 1/8 2/2 2/4 3/1", faults{lost: 1}},
		"the end is missing":       {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2", faults{lost: 2}},
		"all is missing":           {keptRoom, "", faults{lost: 9}},
		"one is repeated":          {keptRoom, "1/2 1/4 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1", faults{repeated: 1}},
		"one is repeated later":    {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 1/2 2/2 2/4 3/1", faults{repeated: 1}},
		"two are exchanged":        {keptRoom, "1/2 1/5 1/4 1/6 1/7 1/8 2/2 2/4 3/1", faults{lost: 1, reordered: 1}},
		"one for others":           {keptRoom, "1/1 1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1", faults{foreign: 1}},
		"one is unknown":           {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 1/9 2/2 2/4 3/1", faults{phantoms: 1}},
		"one too many":             {keptRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 2/6 3/1", faults{phantoms: 1}},
		"a gap is not due":         {keptRoom, "1/2 1/4 1/5 gap 1/6 1/7 1/8 2/2 2/4 3/1", faults{undue: 1}},
		"a gap after a loss":       {keptRoom, "1/2 1/4 1/5 gap 1/7 1/8 2/2 2/4 3/1", faults{undue: 1, lost: 1}},
		"a gap":                    {briefRoom, "1/2 1/4 gap 3/1", faults{excused: 6}},
		"old events may be kept":   {briefRoom, "1/2 1/4 gap 2/2 2/4 3/1", faults{excused: 4}},
		"no gap":                   {briefRoom, "1/2 1/4 3/1", faults{lost: 6}},
		"a gap at the wrong place": {briefRoom, "1/2 1/4 gap 1/5 2/2 2/4 3/1", faults{lost: 3}},
		"a gap without a loss":     {briefRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1 early", faults{undue: 1}},
		"a forgotten room":         {briefRoom, "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1 gap", faults{}},
	}
	start := time.Now()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := &watcher{member: member{room: c.room}, items: told(c.got, start)}
			v := &verdict{tally: &tally{}}
			v.judge(story(start), []*watcher{w})
			got := faults{v.lost, v.repeated, v.reordered, v.foreign, v.phantoms, v.undue, v.excused}
			require.Equal(t, c.want, got, "%v", v.err())
			if got.excused = 0; got == (faults{}) {
				require.NoError(t, v.err())
			} else {
				require.Error(t, v.err())
			}
		})
	}
}

// An event that was not acknowledged counts as published if a client has received it.
func TestJudgeWhatWasNotAcknowledged(t *testing.T) {
	start := time.Now()
	const before, after = "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 ", " 3/1"
	with := &watcher{items: told(before+"2/5"+after, start)}
	without := &watcher{items: told(before+after, start)}
	v := &verdict{}
	v.judge(story(start), []*watcher{with, without})
	require.Equal(t, 1, v.lost)
}

func TestJudgeIDs(t *testing.T) {
	start := time.Now()
	const all = "1/2 1/4 1/5 1/6 1/7 1/8 2/2 2/4 3/1"
	one, other := &watcher{items: told(all, start)}, &watcher{items: told(all, start)}
	other.items[3].seq++
	v := &verdict{}
	v.judge(story(start), []*watcher{one, other})
	require.ErrorContains(t, v.err(), "has the numbers")
	require.Len(t, v.faults, 1)
}

func TestJudgeAcknowledgements(t *testing.T) {
	r := story(time.Now())
	r.ack(mark{Room: 3, Run: 3, Number: 3})
	v := &verdict{}
	v.judge(r, nil)
	require.ErrorContains(t, v.err(), "was acknowledged as number 2")
}
