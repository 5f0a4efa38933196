package eventlog_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestPositionText(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		position eventlog.Position
		text     string
	}{
		"first":          {eventlog.Position{Epoch: "k3x", Seq: 1}, "k3x-1"},
		"before any":     {eventlog.Position{Epoch: "k3x", Seq: 0}, "k3x-0"},
		"largest":        {eventlog.Position{Epoch: "k3x", Seq: math.MaxUint64}, "k3x-18446744073709551615"},
		"epoch of digit": {eventlog.Position{Epoch: "0", Seq: 10}, "0-10"},
		"longest epoch":  {eventlog.Position{Epoch: strings.Repeat("z", 32), Seq: 7}, strings.Repeat("z", 32) + "-7"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.text, c.position.String())
			p, ok := eventlog.ParsePosition(c.text)
			require.True(t, ok)
			require.Equal(t, c.position, p)
			require.Equal(t, c.position, eventlog.PositionOf(c.text))
		})
	}
}

func TestPositionOfOtherText(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"empty":               "",
		"a word":              "abc",
		"a number":            "17",
		"a negative number":   "-1",
		"an original's id":    "1",
		"no seq":              "k3x-",
		"no epoch":            "-5",
		"no dash":             "k3x5",
		"two dashes":          "k3x--5",
		"three parts":         "k3x-5-6",
		"upper case":          "K3x-5",
		"an odd epoch":        "k_x-5",
		"not ASCII":           "é-5",
		"an unknown epoch":    "?-0",
		"a long epoch":        strings.Repeat("z", 33) + "-5",
		"a leading zero":      "k3x-05",
		"two zeros":           "k3x-00",
		"a plus":              "k3x-+5",
		"a fraction":          "k3x-5.0",
		"an exponent":         "k3x-5e1",
		"hexadecimal":         "k3x-0x5",
		"an underscore":       "k3x-1_0",
		"white space before":  " k3x-5",
		"white space after":   "k3x-5 ",
		"white space between": "k3x- 5",
		"a line end":          "k3x-5\n",
		"a NUL":               "k3x-5\x00",
		"too large":           "k3x-18446744073709551616",
		"far too large":       "k3x-" + strings.Repeat("9", 1<<20),
		"a huge epoch":        strings.Repeat("z", 1<<20) + "-5",
		"Arabic digits":       "k3x-٥",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := eventlog.ParsePosition(text)
			require.False(t, ok)
			log := eventlog.NewMemory(nil)
			replay, err := log.After(t.Context(), "room", eventlog.PositionOf(text))
			require.NoError(t, err)
			require.True(t, replay.Truncated)
		})
	}
}

func TestPositionZero(t *testing.T) {
	t.Parallel()
	require.Equal(t, eventlog.Position{}, eventlog.PositionOf("0"))
	require.Equal(t, "0", eventlog.Position{}.String())
	_, ok := eventlog.ParsePosition("0")
	require.False(t, ok)
}

func TestRecordPosition(t *testing.T) {
	t.Parallel()
	r := &eventlog.Record{Epoch: "k3x", Seq: 5}
	require.Equal(t, eventlog.Position{Epoch: "k3x", Seq: 5}, r.Position())
}

func TestNewEpoch(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		epoch := eventlog.NewEpoch()
		require.Regexp(t, `^[a-z0-9]{13}$`, epoch)
		require.False(t, seen[epoch])
		seen[epoch] = true
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, text := range []string{"0", "k3x-1", "k3x-01", "K3x-1", "-", "a-18446744073709551615", "a-18446744073709551616", "?-0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := eventlog.ParsePosition(text)
		if ok && p.String() != text {
			t.Errorf("%q is the position %q", text, p)
		}
		if of := eventlog.PositionOf(text); ok && of != p || text == "0" && of != (eventlog.Position{}) {
			t.Errorf("%q asks for %+v", text, of)
		} else if !ok && text != "0" && of.Epoch != "?" {
			t.Errorf("%q is not an event id and has the position %+v", text, of)
		}
	})
}
