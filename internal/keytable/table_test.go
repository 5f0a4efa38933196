package keytable_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/keytable"
)

func TestDigests(t *testing.T) {
	t.Parallel()
	seen := map[keytable.Digest][2]string{}
	for _, channel := range []string{"", "a", "ab", "a\x01", "\x01a", string(make([]byte, 300))} {
		for _, key := range []string{"", "a", "b", "ab", "\x00", "\x01a"} {
			d := keytable.DigestOf(channel, key)
			require.Equal(t, d, keytable.DigestOf(channel, key))
			require.NotContains(t, seen, d, "%q and %q", [2]string{channel, key}, seen[d])
			seen[d] = [2]string{channel, key}
		}
	}
}

// A Table is a map without its expired entries.
func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const window = 1000
	table := keytable.New(window, 1<<20)
	model := map[keytable.Digest]keytable.Entry{}
	now := int64(0)
	for step := range 50_000 {
		now += random.Int64N(4)
		if random.IntN(2000) == 0 {
			now += random.Int64N(3 * window)
		}
		d := keytable.DigestOf("", strconv.Itoa(random.IntN(500)))
		want, known := model[d]
		known = known && now-want.At <= window
		got, ok := table.Find(d, now)
		require.Equal(t, known, ok, "step %d", step)
		if known {
			require.Equal(t, want, got)
			continue
		}
		model[d] = keytable.Entry{Seq: uint64(step), At: now}
		table.Add(d, model[d])
	}
	all := 0
	for d, e := range table.All(now) {
		require.Equal(t, model[d], e)
		all++
	}
	for _, e := range model {
		if now-e.At <= window {
			all--
		}
	}
	require.Zero(t, all)
	table.Expire(now + window + 1)
	require.Zero(t, table.Len())
}

func TestLimit(t *testing.T) {
	t.Parallel()
	table := keytable.New(8*time.Second, 3)
	digest := func(i int) keytable.Digest { return keytable.DigestOf("", strconv.Itoa(i)) }
	second := int64(time.Second)
	hasPlace := func(now int64, staged int) bool {
		table.Expire(now)
		return table.HasPlace(digest(9), staged, staged)
	}
	for i := range 3 {
		require.True(t, hasPlace(int64(i)*second, 2-i))
		require.False(t, hasPlace(int64(i)*second, 3-i))
		table.Add(digest(i), keytable.Entry{At: int64(i) * second})
	}
	require.False(t, hasPlace(8*second, 0))
	require.True(t, hasPlace(8*second+1, 0), "the first has expired")
	_, ok := table.Find(digest(1), 9*second)
	require.True(t, ok)
	_, ok = table.Find(digest(1), 9*second+1)
	require.False(t, ok)
	table.Add(digest(4), keytable.Entry{At: 9 * second})
	require.False(t, hasPlace(9*second, 0))
	table.Add(digest(5), keytable.Entry{At: 9 * second})
	require.False(t, hasPlace(9*second, 0), "there are more keys than places")
}

// A channel with many keys leaves an eighth of the capacity to those with few.
func TestShare(t *testing.T) {
	t.Parallel()
	const limit = 80
	table := keytable.New(time.Second, limit)
	added := func(channel string, now int64) (n int) {
		table.Expire(now)
		for {
			d := keytable.DigestOf(channel, strconv.Itoa(n))
			if !table.HasPlace(d, 0, 0) {
				return n
			}
			table.Add(d, keytable.Entry{At: now})
			n++
		}
	}
	require.Equal(t, 70, added("loud", 0))
	require.False(t, table.HasPlace(keytable.DigestOf("quiet", "x"), 10, 0))
	require.False(t, table.HasPlace(keytable.DigestOf("quiet", "x"), 10-1, 10))
	require.True(t, table.HasPlace(keytable.DigestOf("quiet", "x"), 9, 9))
	require.Equal(t, 10, added("quiet", 0))
	require.Zero(t, added("other", 0))
	require.Equal(t, 70, added("loud", int64(2*time.Second)), "expired keys are not counted")
}

// BenchmarkMemory measures the memory of a key, which does not depend on its length.
func BenchmarkMemory(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		table := keytable.New(time.Minute, 1<<20)
		for i := range 100_000 {
			table.Add(keytable.DigestOf("room", strconv.Itoa(i)), keytable.Entry{Seq: uint64(i), At: int64(i) * int64(time.Minute/100_000)})
		}
	}
}
