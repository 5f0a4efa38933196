package peer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A handler holds its output until it may be encoded. Therefore no further handler begins
// while some wait for that, so that a client that does not read, or reads slowly, cannot
// make the server hold as many outputs as it may run calls.
func TestHandlersBeginOnlyWhileOutputsAreTaken(t *testing.T) {
	const requests = 300
	var begun atomic.Int32
	answer := func(ctx context.Context, _ *Request, c *Call) {
		begun.Add(1)
		if c.StartAnswer(ctx) != nil {
			return
		}
		defer c.StopAnswer()
		_ = c.Respond(context.Background(), &Response{})
	}
	flood := func(t *testing.T, o ServerOptions) *serverRig {
		t.Helper()
		begun.Store(0)
		o.Handle = answer
		rig := newServerRig(t, o)
		rig.out.gate = make(chan struct{})
		for i := range requests {
			rig.receive(t, fmt.Sprintf(`{"i":%d,"p":{"u":"/a"}}`, i))
			synctest.Wait()
		}
		require.EqualValues(t, maxEncoded+maxUnanswered, begun.Load())
		return rig
	}

	bubble(t, "a client that reads slowly", func(t *testing.T) {
		rig := flood(t, ServerOptions{})
		answered := 0
		for answered < requests {
			rig.out.gate <- struct{}{}
			answered += len(rig.out.take())
			require.LessOrEqual(t, int(begun.Load())-answered, maxEncoded+maxUnanswered+1)
		}
		require.Zero(t, rig.lanes[0].running)
	})
	bubble(t, "a client that reads all at once", func(t *testing.T) {
		rig := flood(t, ServerOptions{})
		close(rig.out.gate)
		require.Len(t, rig.out.take(), requests)
	})
	bubble(t, "aborts of calls that wait to answer", func(t *testing.T) {
		rig := flood(t, ServerOptions{})
		for i := range requests {
			rig.receive(t, fmt.Sprintf(`{"i":%d,"t":4}`, i))
		}
		close(rig.out.gate)
		rig.receive(t, `{"i":"last","p":{"u":"/a"}}`)
		require.Contains(t, rig.out.take(), `{"i":"last","p":{}}`)
		require.Zero(t, rig.lanes[0].unanswered)
	})
	bubble(t, "urgent calls go on", func(t *testing.T) {
		rig := flood(t, ServerOptions{Urgent: func(r *Request) int { return len(r.URL.Path) - len("/a") }})
		rig.receive(t, `{"i":"urgent","p":{"u":"/ab"}}`)
		synctest.Wait()
		require.EqualValues(t, maxEncoded+maxUnanswered+1, begun.Load())
		close(rig.out.gate)
		require.Len(t, rig.out.take(), requests+1)
	})
	bubble(t, "the server is closed", func(t *testing.T) {
		rig := flood(t, ServerOptions{})
		rig.Close()
		close(rig.out.gate)
		rig.Wait()
		require.EqualValues(t, maxEncoded+maxUnanswered, begun.Load())
	})
}

// After a flood of calls, as many run at once as before it.
func TestLaneRecovers(t *testing.T) {
	bubble(t, "all run at once again", func(t *testing.T) {
		var stay atomic.Pointer[chan struct{}]
		rig := newServerRig(t, ServerOptions{MaxCalls: 50, Handle: func(ctx context.Context, _ *Request, c *Call) {
			if leave := stay.Load(); leave != nil {
				<-*leave
			}
			if c.StartAnswer(ctx) == nil {
				defer c.StopAnswer()
				_ = c.Respond(context.Background(), &Response{})
			}
		}})
		send := func() {
			for i := range 100 {
				rig.receive(t, fmt.Sprintf(`{"i":%d,"p":{"u":"/a"}}`, i))
			}
			synctest.Wait()
		}
		rig.out.gate = make(chan struct{})
		send()
		close(rig.out.gate)
		require.Len(t, rig.out.take(), 100)

		leave := make(chan struct{})
		stay.Store(&leave)
		send()
		require.Equal(t, 50, rig.lanes[0].running)
		close(leave)
		require.Len(t, rig.out.take(), 100)
	})
}
