package durableobject

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// A clock that is temporarily ahead ends no revocation for good. A revocation that has ended is
// forgotten later.
func TestRevocationsAreNotForgottenByTheClock(t *testing.T) {
	t.Parallel()
	v, now := &revocations{}, time.Now()
	p := &token.Payload{ID: "x"}
	v.add(&revocation{Who: Who{TokenID: "x"}, Until: now.Add(time.Hour).Round(0)}, now)
	v.sweep(now.Add(24 * time.Hour))
	require.True(t, v.match("", p, now))
	require.False(t, v.match("", p, now.Add(time.Hour)))
	require.Equal(t, 1, v.sweep(now.Add(25*time.Hour-1)))
	require.Zero(t, v.sweep(now.Add(25*time.Hour)))
}

// A revocation that is read while the clock is ahead is in force after the clock was set.
func TestRevocationReadWhileTheClockIsAhead(t *testing.T) {
	t.Parallel()
	v, now := &revocations{}, time.Now()
	r := &revocation{Who: Who{TokenID: "x"}, Until: now.Add(time.Hour)}
	require.False(t, v.add(r, now.Add(12*time.Hour)), "nothing is to be closed")
	require.True(t, v.match("", &token.Payload{ID: "x"}, now))
}

// Revocations that have ended do not use the capacity of others.
func TestEndedRevocationsTakeNoPlace(t *testing.T) {
	t.Parallel()
	v, now := &revocations{}, time.Now()
	for i := range maxRevocations / 2 {
		v.add(&revocation{Who: Who{TokenID: strconv.Itoa(i)}, Until: now.Add(time.Hour + time.Duration(i))}, now)
	}
	require.Equal(t, maxRevocations/2, v.sweep(now.Add(time.Hour-1)))
	require.Zero(t, v.sweep(now.Add(time.Hour+time.Second)))
}

// A revocation with the longest duration is not treated as one that has ended.
func TestRevocationWhoseEndIsFarOff(t *testing.T) {
	t.Parallel()
	v, now := &revocations{}, time.Now()
	v.add(&revocation{Who: Who{TokenID: "x"}, Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, now)
	require.Equal(t, 1, v.sweep(now))
	require.Equal(t, 1, v.sweep(now.AddDate(1, 0, 0)))
	require.True(t, v.match("", &token.Payload{ID: "x"}, now))
}
