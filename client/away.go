package client

import (
	"context"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

// changed reacts to a change of the program or its network.
func (s *supervisor) changed(ctx context.Context, c dial.Change) {
	switch {
	case c == dial.Away && !s.away:
		s.away = true
		s.retryTimer.Stop()
		s.connectTimer.Stop() // it would have fired when the program is back
		s.leave(ctx, dial.ErrAway)
	case c == dial.Offline && !s.away:
		s.leave(ctx, dial.ErrOffline)
	case c == dial.Back:
		if s.away && s.neverLive {
			s.limitConnecting()
		}
		s.away = false
		s.hurry(ctx)
	}
}

// leave closes the connection, or cancels the attempt to open one. Then lost is called.
func (s *supervisor) leave(ctx context.Context, reason error) {
	s.switching = false
	switch {
	case s.conn != nil:
		s.leaving = reason
		s.conn.Fail(reason)
	case s.dialing:
		s.leaving = reason
		s.stopDialing()
	case s.state == StateConnecting: // a token is being fetched
		s.waitToRetry(ctx, reason)
	case s.away:
		s.setState(ctx, StateWaiting, reason)
	}
}

// hurry connects at once, or finds out soon whether the connection is dead.
func (s *supervisor) hurry(ctx context.Context) {
	switch {
	case s.leaving != nil:
		s.switching = true
	case s.state == StateWaiting:
		s.retryTimer.Stop()
		s.connect(ctx)
	case s.conn != nil:
		s.conn.verify()
	}
}

// limitConnecting ends the iterator unless it is live within Options.ConnectTimeout.
func (s *supervisor) limitConnecting() {
	if s.options.ConnectTimeout > 0 {
		s.connectTimer.Reset(s.options.ConnectTimeout)
	}
}
