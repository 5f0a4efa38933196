package main

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every kind of fault is detected, and nothing else.
func TestCompare(t *testing.T) {
	t.Parallel()
	a, b, c := mark{1, 1, 1}, mark{1, 1, 2}, mark{2, 1, 1}
	good := []entry{{"e-1", a}, {"e-2", b}, {"f-3", c}}
	tests := map[string]struct {
		acked       []entry
		stored, got []entry
		want        verdict
	}{
		"all is well":         {acked: good, stored: good, got: good},
		"acknowledged again":  {acked: append(slices.Clone(good), good[0]), stored: good, got: good},
		"another id":          {acked: []entry{{"e-9", a}, good[1]}, stored: good, got: good, want: verdict{misnamed: 1}},
		"another id, later":   {acked: []entry{good[0], {"e-9", a}}, stored: good, got: good, want: verdict{misnamed: 1}},
		"not acknowledged":    {acked: good[:1], stored: good, got: good},
		"acknowledged, lost":  {acked: good, stored: good[:2], got: good[:2], want: verdict{lost: 1}},
		"delivered, lost":     {acked: good[:1], stored: good[:2], got: good, want: verdict{phantoms: 1}},
		"missed at the end":   {stored: good, got: good[:2], want: verdict{missed: 1}},
		"missed in the midst": {stored: good, got: []entry{good[0], good[2]}, want: verdict{missed: 1}},
		"missed and more":     {stored: good, got: good[1:], want: verdict{missed: 1, disorder: 1}},
		"twice":               {stored: good, got: slices.Insert(slices.Clone(good), 1, good[0]), want: verdict{disorder: 2}},
		"swapped":             {stored: good[:2], got: []entry{good[1], good[0]}, want: verdict{disorder: 3}},
		"id of another event": {
			stored: good[:2], got: []entry{good[0], {"e-2", c}},
			want: verdict{phantoms: 1, missed: 1, reused: 1},
		},
		"id used twice in the log": {
			stored: []entry{good[0], {"e-1", b}}, got: []entry{good[0]},
			want: verdict{missed: 1, reused: 1, disorder: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &verdict{}
			v.compare(tt.acked, historyOf(tt.stored), []*history{historyOf(tt.got)})
			faults := *v
			faults.acked, faults.again, faults.most, faults.stored, faults.delivered, faults.examples = 0, 0, 0, 0, nil, nil
			require.Equal(t, tt.want, faults, "%v", v.examples)
			if total := v.lost + v.phantoms + v.missed + v.reused + v.disorder + v.misnamed; total == 0 {
				require.NoError(t, v.err())
			} else {
				require.ErrorContains(t, v.err(), strconv.Itoa(total)+" faults: ")
			}
		})
	}
}

func historyOf(entries []entry) *history {
	h := newHistory()
	for _, e := range entries {
		h.add(e.id, e.mark.event())
	}
	return h
}

func TestOrder(t *testing.T) {
	t.Parallel()
	first := entry{"e-5", mark{1, 1, 1}}
	tests := map[string]struct {
		next event
		id   string
		want int
	}{
		"next of the publisher":     {mark{1, 1, 2}.event(), "e-6", 0},
		"another publisher":         {mark{1, 2, 1}.event(), "e-7", 0},
		"next run":                  {mark{3, 1, 1}.event(), "f-9", 0},
		"hole":                      {mark{1, 1, 3}.event(), "e-6", 1},
		"hole at the start":         {mark{2, 1, 2}.event(), "e-6", 1},
		"earlier run":               {mark{0, 1, 1}.event(), "e-6", 1},
		"number of the id repeated": {mark{1, 1, 2}.event(), "f-5", 1},
		"no id":                     {mark{1, 1, 2}.event(), "", 1},
		"other text":                {event{mark{1, 1, 2}, "something else"}, "e-6", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := historyOf([]entry{first})
			h.add(tt.id, tt.next)
			require.Len(t, h.disorder, tt.want)
		})
	}
}
