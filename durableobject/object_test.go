package durableobject_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

func TestWebsockets(t *testing.T) {
	for name, test := range map[string]struct {
		tags []string
		ids  string // of a (tag x), b (tags x, y) and c (no tags)
	}{
		"no tags are all":              {nil, "a b c"},
		"an empty slice is no tags":    {[]string{}, "a b c"},
		"a part of a slice is no tags": {[]string{"x"}[:0], "a b c"},
		"one tag":                      {[]string{"x"}, "a b"},
		"one of two tags, once":        {[]string{"y", "x"}, "a b"},
		"an unknown tag":               {[]string{"z"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
				f.connect("a", withTags("x"))
				f.connect("b", withTags("x", "y")).subscribe() // subscribed or not
				f.connect("c")
				synctest.Wait() // until all have joined
				var ids []string
				for ws := range f.room("room").Websockets(test.tags...) {
					ids = append(ids, ws.ID())
				}
				slices.Sort(ids)
				require.Equal(t, test.ids, strings.Join(ids, " "))
			})
		})
	}
}
