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

func TestRefreshDelayDoesNotOverflow(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	require.Equal(t, time.Duration(math.MaxInt64), refreshDelay(now, end, -time.Hour, 0))
	require.Equal(t, time.Duration(math.MaxInt64-int64(time.Hour)), refreshDelay(now, end, time.Hour, 0))
	require.Equal(t, time.Second, refreshDelay(now, time.Time{}, time.Hour, time.Second))
	require.Equal(t, time.Second, refreshDelay(now, time.Time{}, math.MaxInt64, time.Second))
}
