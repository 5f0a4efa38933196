package client

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
			continue // NaN and Infinity are no durations; never is 0 here
		}
		ran++
		var before int64
		require.NoError(t, json.Unmarshal(c.Before, &before))
		least := time.Duration(c.Delay) * time.Second
		if c.First {
			least = 0
		}
		got := refreshDelay(time.UnixMilli(int64(c.Now*1000)), time.Unix(c.Exp, 0), time.Duration(before)*time.Second, least)
		require.Equal(t, time.Duration(*c.DelayMs)*time.Millisecond, got, "%+v", c)
	}
	require.Equal(t, 8, ran)
}

// The delay is computed when a token has come, from the clock as it is then. What the
// clock did before, and what it does afterward until the next token, is only ever seen as
// a token that has more or less time left: in the worst case the refresh comes at once, or
// the server refuses the old token first.
func TestRefreshDelay(t *testing.T) {
	const never = time.Duration(math.MaxInt64)
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	inAnHour := issued.Add(time.Hour)
	for name, c := range map[string]struct {
		now, exp      time.Time
		before, least time.Duration
		want          time.Duration
	}{
		"in time":                           {issued, inAnHour, 10 * time.Minute, 2 * time.Second, 50 * time.Minute},
		"at its end":                        {issued, inAnHour, 0, 2 * time.Second, time.Hour},
		"not sooner than the delay":         {issued, inAnHour, 59 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		"longer before than it lives":       {issued, inAnHour, 2 * time.Hour, 2 * time.Second, 2 * time.Second},
		"the first one may come at once":    {issued, inAnHour, 2 * time.Hour, 0, 0},
		"exactly due":                       {issued, inAnHour, time.Hour, 0, 0},
		"a nanosecond is left":              {issued, inAnHour, time.Hour - 1, 0, 1},
		"a step forward":                    {issued.Add(30 * time.Minute), inAnHour, 10 * time.Minute, 2 * time.Second, 20 * time.Minute},
		"a step forward over the refresh":   {issued.Add(55 * time.Minute), inAnHour, 10 * time.Minute, 2 * time.Second, 2 * time.Second},
		"a step forward over the end":       {issued.Add(90 * time.Minute), inAnHour, 10 * time.Minute, 2 * time.Second, 2 * time.Second},
		"a step forward of a century":       {issued.AddDate(100, 0, 0), inAnHour, 10 * time.Minute, 2 * time.Second, 2 * time.Second},
		"a step forward of 7000 years":      {issued.AddDate(7000, 0, 0), inAnHour, 10 * time.Minute, 2 * time.Second, 2 * time.Second},
		"a step back":                       {issued.Add(-time.Hour), inAnHour, 10 * time.Minute, 2 * time.Second, 110 * time.Minute},
		"a step back of a year":             {issued.AddDate(-1, 0, 0), inAnHour, 10 * time.Minute, 2 * time.Second, 365*24*time.Hour + 50*time.Minute},
		"a step back to 1970":               {time.Unix(0, 0), inAnHour, 10 * time.Minute, 2 * time.Second, inAnHour.Sub(time.Unix(0, 0)) - 10*time.Minute},
		"a clock that was never set":        {time.Time{}, inAnHour, 10 * time.Minute, 2 * time.Second, never - 10*time.Minute},
		"it ends now":                       {inAnHour, inAnHour, time.Minute, 0, 0},
		"it has ended":                      {inAnHour.Add(time.Second), inAnHour, time.Minute, time.Second, time.Second},
		"it has ended long ago":             {issued, time.Unix(0, 0), time.Minute, time.Second, time.Second},
		"no end":                            {issued, time.Time{}, time.Hour, time.Second, time.Second},
		"no end, and as long as can be":     {issued, time.Time{}, never, time.Second, time.Second},
		"past 2^31 ms":                      {issued, issued.AddDate(0, 0, 60), time.Hour, 0, 60*24*time.Hour - time.Hour},
		"in 200 years":                      {issued, issued.AddDate(200, 0, 0), time.Hour, 0, issued.AddDate(200, 0, 0).Sub(issued) - time.Hour},
		"further than a Duration":           {issued, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Hour, 0, never - time.Hour},
		"further, and less than no time":    {issued, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), -time.Hour, 0, never},
		"as long before as can be":          {issued, inAnHour, never, time.Second, time.Second},
		"as long after as can be":           {issued, inAnHour, math.MinInt64, time.Second, never},
		"long ago, as long after":           {issued.AddDate(7000, 0, 0), inAnHour, math.MinInt64, time.Second, time.Second},
		"the delay is as long as it can be": {issued, inAnHour, time.Minute, never, never},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, refreshDelay(c.now, c.exp, c.before, c.least))
		})
	}
}
