//go:build !js

package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// A client that connects for the first time begins with the newest events, and receives no
// gap. If it is disconnected before it has read any of them, or between them, it loses
// none.
func TestLatestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute, Latest: 3})
		for n := 1; n <= 5; n++ {
			b.publish(n)
		}
		it := b.subscribe(listenInput{}, b.link())
		position := it.LastEventID()
		require.NotEmpty(t, position)
		b.server.Cut()
		b.publish(6)
		readNumbers(t, it, 3, 4)
		b.server.Cut()
		b.publish(7)
		readNumbers(t, it, 5, 6, 7)

		other := b.subscribe(listenInput{}, b.link())
		readNumbers(t, other, 5, 6, 7)
		b.publish(8)
		readNumbers(t, it, 8)
		readNumbers(t, other, 8)
	})
}

// Messages of OnSubscribed are sent after them.
func TestLatestEventsBeforeASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute, Latest: 2})
		b.snapshot = true
		b.publish(1)
		b.publish(2)
		b.publish(3)
		it := b.subscribe(listenInput{}, b.link())
		b.publish(4)
		readNumbers(t, it, 2, 3, -1, 4)
	})
}
