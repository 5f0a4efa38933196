package rpc

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

func TestEventMetaOnTheWire(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		meta EventMeta
		wire string
	}{
		"none":           {EventMeta{}, ``},
		"empty comments": {EventMeta{Comments: []string{}}, ``},
		"all":            {EventMeta{ID: "a-1", Retry: 2 * time.Second, Comments: []string{"x", ""}}, `"id":"a-1","retry":2000,"comments":["x",""]`},
		"rounded down":   {EventMeta{Retry: 1999 * time.Microsecond}, `"retry":1`},
		"retry now":      {EventMeta{RetryNow: true}, `"retry":0`},
		"inner blanks":   {EventMeta{ID: "a b,é😀", Comments: []string{" a\tb "}}, `"id":"a b,é😀","comments":[" a\tb "]`},
		"longest retry":  {EventMeta{Retry: math.MaxInt64}, `"retry":9223372036854`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := test.meta.peerMeta()
			require.NoError(t, err)
			require.NoError(t, p.Validate())
			require.Equal(t, test.wire, string(peer.AppendEventMeta(nil, p)))
			back := eventMeta(p)
			require.Equal(t, test.meta.ID, back.ID)
			require.Equal(t, test.meta.RetryNow, back.RetryNow)
			require.Equal(t, test.meta.Retry.Truncate(time.Millisecond), back.Retry)
			require.Len(t, back.Comments, len(test.meta.Comments))
		})
	}
}

func TestEventMetaRefused(t *testing.T) {
	t.Parallel()
	for name, meta := range map[string]EventMeta{
		"line feed in the id":       {ID: "a\nb"},
		"carriage return in the id": {ID: "a\rb"},
		"NUL in the id":             {ID: "a\x00b"},
		"tab in the id":             {ID: "a\tb"},
		"control in the id":         {ID: "a\x01b"},
		"DEL in the id":             {ID: "a\x7f"},
		"C1 control in the id":      {ID: "a\u0085b"},
		"blank before the id":       {ID: " a"},
		"blank after the id":        {ID: "a "},
		"wide blank after the id":   {ID: "a\u00a0"},
		"only a blank":              {ID: " "},
		"id is not UTF-8":           {ID: "a\xff"},
		"line break in a comment":   {Comments: []string{"fine", "a\nb"}},
		"NUL in a comment":          {Comments: []string{"a\x00"}},
		"comment is not UTF-8":      {Comments: []string{"\xff"}},
		"retry both ways":           {Retry: time.Second, RetryNow: true},
		"negative retry":            {Retry: -time.Second},
		"retry below 1 ms":          {Retry: time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, meta.Validate(), ErrEventMeta)
			_, err := meta.peerMeta()
			require.ErrorIs(t, err, ErrEventMeta)
		})
	}
}

func TestEventMetaReceived(t *testing.T) {
	t.Parallel()
	zero, most := int64(0), int64(1<<53-1)
	for name, test := range map[string]struct {
		received peer.EventMeta
		want     EventMeta
	}{
		"none":            {peer.EventMeta{}, EventMeta{}},
		"empty id":        {peer.EventMeta{HasID: true}, EventMeta{}},
		"retry 0":         {peer.EventMeta{Retry: &zero}, EventMeta{RetryNow: true}},
		"retry too great": {peer.EventMeta{Retry: &most}, EventMeta{Retry: 9223372036854 * time.Millisecond}},
		"no comments":     {peer.EventMeta{Comments: []string{}}, EventMeta{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, eventMeta(test.received))
		})
	}
}
