package node_test

import (
	"testing"
	"time"
)

// testPages runs a client in a page, to which it sends events of its lifecycle.
func testPages(t *testing.T, run runner) {
	t.Helper()
	for away, back := range map[string]string{"pagehide": "pageshow", "freeze": "resume"} {
		t.Run("leaves after "+away, func(t *testing.T) {
			t.Parallel()
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			h.publish(1)
			p.expect("event 1")
			p.tell(away)
			h.awaitSockets(0)
			h.publish(2)
			p.tell(back)
			p.expect("state waiting", "put away", "state live", "event 2")
			p.stop()
			p.hasNo(t, "gap")
		})
	}
	t.Run("sees at once that it is offline", func(t *testing.T) {
		t.Parallel()
		h := newHall(t, time.Hour)
		p := run(t, h, programConfig{})
		p.expect("state live", "pong")
		h.stall()
		p.tell("offline")
		p.expect("state waiting", "offline", "state live")
		p.stop()
	})
	for _, back := range []string{"pageshow", "resume", "visibilitychange", "online"} {
		t.Run("does not trust its connection after "+back, func(t *testing.T) {
			t.Parallel()
			h := newHall(t, time.Hour)
			p := run(t, h, programConfig{})
			p.expect("state live", "pong")
			h.stall()
			p.tell(back)
			p.within(20*time.Second, "state waiting", "state live") // 5 s, and not half a minute
			h.publish(1)
			p.expect("event 1")
			p.stop()
		})
	}
}
