package client

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

func TestRecordedRefreshDelays(t *testing.T) {
	var recorded struct {
		RefreshDelay []struct {
			First   bool
			Now     float64         `json:"nowSeconds"`
			Exp     int64           `json:"exp"`
			Before  json.RawMessage `json:"refreshTokenBeforeExpireInSeconds"`
			Delay   int64           `json:"refreshTokenDelayInSeconds"`
			DelayMs *int64          `json:"delayMs"`
		}
	}
	data, err := os.ReadFile("testdata/client.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &recorded))
	ran := 0
	for _, c := range recorded.RefreshDelay {
		if c.DelayMs == nil {
			continue // NaN and Infinity are not durations; here 0 means never
		}
		ran++
		var before int64
		require.NoError(t, json.Unmarshal(c.Before, &before))
		least := time.Duration(c.Delay) * time.Second
		if c.First {
			least = 0
		}
		// The original believes its clock. So does this client of tokens that were issued now.
		now := time.UnixMilli(int64(c.Now * 1000))
		p := &token.Payload{IssuedAt: now, ExpiresAt: time.Unix(c.Exp, 0)}
		got := refreshDelay(now, p, time.Duration(before)*time.Second, least)
		if lifetime(now, p) == 0 {
			require.Equal(t, max(blindDelay, time.Duration(*c.DelayMs)*time.Millisecond), got, "%+v", c)
			continue
		}
		require.Equal(t, time.Duration(*c.DelayMs)*time.Millisecond, got, "%+v", c)
	}
	require.Equal(t, 8, ran)
}

// The delay is counted from the arrival of a token, by the lifetime of the token. The clock
// of the machine is used only if that is not plausible.
func TestRefreshDelay(t *testing.T) {
	t.Parallel()
	const never = time.Duration(math.MaxInt64)
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	inAnHour := issued.Add(time.Hour)
	century := issued.AddDate(100, 0, 0)
	for name, c := range map[string]struct {
		now, iat, exp time.Time
		before, least time.Duration
		want          time.Duration
	}{
		"in time":                        {issued, issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"at its end":                     {issued, issued, inAnHour, 0, 2 * time.Second, time.Hour},
		"not sooner than the delay":      {issued, issued, inAnHour, 59 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		"longer before than it lives":    {issued, issued, inAnHour, 2 * time.Hour, 2 * time.Second, 2 * time.Second},
		"the first one may come at once": {issued, issued, inAnHour, 2 * time.Hour, 0, 0},
		"exactly due":                    {issued, issued, inAnHour, time.Hour, 0, 0},
		"a nanosecond is left":           {issued, issued, inAnHour, time.Hour - 1, 0, 1},

		"a fraction of a second is lost": {issued.Add(800 * time.Millisecond), issued, inAnHour, 0, 0, time.Hour - 800*time.Millisecond},
		"a clock a second ahead":         {issued.Add(time.Second), issued, inAnHour, 0, 0, time.Hour},
		"a clock ahead":                  {issued.Add(30 * time.Minute), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock ahead of the end":       {issued.Add(90 * time.Minute), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock ahead by a century":     {century, issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock ahead by 7000 years":    {issued.AddDate(7000, 0, 0), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock behind":                 {issued.Add(-time.Hour), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock behind by a year":       {issued.AddDate(-1, 0, 0), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock that was never set":     {time.Time{}, issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"a clock at 1970":                {time.Unix(0, 0), issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"past 2^31 ms":                   {issued, issued, issued.AddDate(0, 0, 60), time.Hour, 0, 60*24*time.Hour - time.Hour},
		"the longest time before":        {issued, issued, inAnHour, never, time.Second, time.Second},
		"the longest time after":         {issued, issued, inAnHour, math.MinInt64, time.Second, never},
		"the longest delay":              {issued, issued, inAnHour, time.Minute, never, never},

		"no issue, by the clock":             {issued, time.Unix(0, 0), inAnHour, 10 * time.Minute, 0, 50 * time.Minute},
		"no issue, and due":                  {issued, time.Unix(0, 0), inAnHour, time.Hour, 0, time.Minute},
		"no issue, and a clock ahead":        {century, time.Unix(0, 0), inAnHour, time.Minute, 0, time.Minute},
		"no issue, and a longer delay":       {century, time.Unix(0, 0), inAnHour, time.Minute, time.Hour, time.Hour},
		"issued when it ends":                {issued, inAnHour, inAnHour, time.Minute, 0, 59 * time.Minute},
		"issued after its end":               {inAnHour.Add(time.Second), century, inAnHour, time.Minute, 0, time.Minute},
		"issued never":                       {issued, time.Time{}, inAnHour, time.Minute, 0, 59 * time.Minute},
		"no end":                             {issued, issued, time.Time{}, time.Hour, time.Second, time.Minute},
		"no end, and the longest time":       {issued, issued, time.Time{}, never, time.Second, time.Minute},
		"for two years, by the clock":        {issued.AddDate(1, 0, 0), issued, issued.AddDate(2, 0, 0), time.Hour, 0, 365*24*time.Hour - time.Hour},
		"for 200 years":                      {issued, issued, issued.AddDate(200, 0, 0), time.Hour, 0, issued.AddDate(200, 0, 0).Sub(issued) - time.Hour},
		"longer than a Duration":             {issued, issued, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Hour, 0, never - time.Hour},
		"longer, and less than no time":      {issued, issued, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), -time.Hour, 0, never},
		"for a century, and a clock of 7000": {issued.AddDate(7000, 0, 0), issued, century, math.MinInt64, time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &token.Payload{IssuedAt: c.iat, ExpiresAt: c.exp}
			require.Equal(t, c.want, refreshDelay(c.now, p, c.before, c.least))
		})
	}
}
