package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// supervisor keeps an iterator connected. Its fields belong to the goroutine of run,
// and so do those of core that say so. What takes time runs on goroutines of its own,
// which hand back what is to be done next by post.
type supervisor struct {
	*core
	inbox chan func()
	quit  chan struct{} // closed when nothing is taken from inbox any more
	ops   sync.WaitGroup

	retry    *time.Timer // tries to connect
	refresh  *time.Timer // replaces the token
	patience *time.Timer // gives up a first connection

	// How long to wait before the next attempt to connect, or to refresh.
	connectPause, refreshPause func(attempt int) time.Duration

	first     bool // was never live
	dialing   bool
	switching bool // the socket is being closed to open another one at once
	attempt   int  // failed attempts since the last stable connection
	liveSince time.Time
	lastErr   error        // why the last attempt has failed
	pause     atomic.Int64 // that the last event has asked for, before the next attempt

	stale         bool // the token was refused, and another one not fetched yet
	refused       bool // a token was refused, and none accepted since
	fetching      bool
	fetchFailures int

	stop        func() // ends the subscription; nil if there is none
	subscribing bool
	answered    bool // a subscription was answered before
	legacy      bool // by a server of oRPC

	end error // why run is over; nil: it is not
}

func newSupervisor(c *core) *supervisor {
	return &supervisor{
		core:     c,
		inbox:    make(chan func()),
		quit:     make(chan struct{}),
		retry:    stoppedTimer(),
		refresh:  stoppedTimer(),
		patience: stoppedTimer(),
		first:    true,

		connectPause: c.options.pauses(),
		refreshPause: c.options.pauses(),
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run returns when nothing of the iterator is running any more.
func (s *supervisor) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel(ErrClosed) // frees the context
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	if s.options.ConnectTimeout > 0 {
		s.patience.Reset(s.options.ConnectTimeout)
	}
	s.scheduleRefresh(0)
	s.connect(working)
	for s.end == nil {
		select {
		case next := <-s.inbox:
			next()
		case <-s.retry.C:
			s.connect(working)
		case <-s.refresh.C:
			s.fetch(working)
		case <-s.patience.C:
			s.giveUp()
		case <-s.buffer.room:
			s.resubscribe(working)
		case <-ctx.Done():
			s.end = causeOf(ctx)
		}
	}
	close(s.quit)
	stopWorking()
	s.shutdown(ctx)
}

// causeOf gives the reason of an iterator whose context has ended. If that is not the
// iterator's own doing, errors.Is finds context.Canceled or context.DeadlineExceeded
// in it, whatever the cause is.
func causeOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrClosed) {
		return cause
	}
	if !errors.Is(cause, ctx.Err()) {
		cause = fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return fmt.Errorf("client: iterator ended: %w", cause)
}

// shutdown ends loops and calls, and then the socket.
func (s *supervisor) shutdown(ctx context.Context) {
	s.retry.Stop()
	s.refresh.Stop()
	s.patience.Stop()
	reason := s.end
	switch {
	case errors.Is(reason, ErrClosed):
		s.buffer.drop(nil)
		reason = nil
	case ctx.Err() != nil:
		s.buffer.drop(reason)
	default:
		s.buffer.finish(reason)
	}
	s.setState(context.WithoutCancel(ctx), StateClosed, reason)
	s.peer.Close(ErrClosed)
	if s.conn != nil {
		s.conn.close()
	}
	s.ops.Wait()
}

// post hands next to the goroutine of run. It reports whether it will be called.
func (s *supervisor) post(next func()) bool {
	select {
	case s.inbox <- next:
		return true
	case <-s.quit:
		return false
	}
}

// fail ends the iterator.
func (s *supervisor) fail(err error) { s.end = err }

// giveUp ends an iterator that could not connect in time.
func (s *supervisor) giveUp() {
	err := fmt.Errorf("client: connect: %w after %v", context.DeadlineExceeded, s.options.ConnectTimeout)
	if s.lastErr != nil {
		err = fmt.Errorf("%w: %w", err, s.lastErr)
	}
	s.fail(err)
}

// connect begins an attempt.
func (s *supervisor) connect(ctx context.Context) {
	s.setState(ctx, StateConnecting, nil)
	if s.stale {
		s.fetch(ctx) // goes on to dial
		return
	}
	s.dial(ctx)
}

func (s *supervisor) dial(ctx context.Context) {
	s.dialing = true
	cred := s.credential()
	s.ops.Go(func() {
		waiting, stop := context.WithTimeout(ctx, s.options.DialTimeout)
		defer stop()
		conn, err := s.open(waiting, cred)
		if !s.post(func() { s.dialed(ctx, conn, cred, err) }) && conn != nil {
			conn.Drop() // nobody is interested any more
		}
	})
}

func (s *supervisor) dialed(ctx context.Context, conn *connection, cred credential, err error) {
	s.dialing = false
	if err != nil {
		s.lost(ctx, cred, fmt.Errorf("client: dial: %w", s.redact(err)))
		return
	}
	s.setConnection(conn)
	conn.serve(s.peer, s.options.PingInterval, func(err error) {
		s.post(func() {
			s.setConnection(nil)
			s.stop, s.subscribing = nil, false
			s.lost(ctx, conn.cred, err)
		})
	})
	if s.buffer.paused() {
		s.live(ctx) // for calls
		return
	}
	s.subscribe(ctx)
}

// lost decides how to go on without a connection.
func (s *supervisor) lost(ctx context.Context, cred credential, err error) {
	refused := isTokenRefused(err) && cred.text == s.credential().text
	switch {
	case ctx.Err() != nil: // that is why
		return
	case s.switching:
		s.switching = false
		s.connect(ctx)
		return
	case refused && s.refused && !cred.outlived():
		s.fail(fmt.Errorf("%w: %w", ErrRefused, err))
		return
	case refused:
		s.refused, s.stale = true, true
	case s.first && isFinal(err):
		s.fail(err)
		return
	}
	s.wait(ctx, err)
}

// wait pauses before the next attempt.
func (s *supervisor) wait(ctx context.Context, err error) {
	if !s.liveSince.IsZero() && time.Since(s.liveSince) >= stableAfter {
		s.attempt = 0
	}
	s.liveSince = time.Time{}
	s.attempt++
	s.lastErr = err
	asked := max(time.Duration(s.pause.Load()), retryAfter(err, time.Now()))
	s.retry.Reset(min(asked, maxHint) + s.connectPause(s.attempt))
	s.setState(ctx, StateWaiting, err)
}

// reconnect closes the socket and opens another one at once.
func (s *supervisor) reconnect(ctx context.Context) {
	if s.conn == nil || s.switching {
		return
	}
	s.switching = true
	s.setState(ctx, StateConnecting, nil)
	s.ops.Go(s.conn.close)
}

// live is called when the server has answered a subscription.
func (s *supervisor) live(ctx context.Context) {
	s.refused = false
	if s.state == StateLive {
		return
	}
	s.liveSince = time.Now()
	s.setState(ctx, StateLive, nil)
	if s.first {
		s.first = false
		s.patience.Stop()
		close(s.opened)
	}
	s.share(ctx)
}
