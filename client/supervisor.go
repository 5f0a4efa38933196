package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

// supervisor keeps an iterator connected. Its fields belong to the goroutine of run. Slow
// operations run on other goroutines, which return their results with post.
type supervisor struct {
	*core
	inbox chan func()
	quit  chan struct{} // closed when nothing is received from inbox any more
	ops   sync.WaitGroup

	retryTimer   *time.Timer // starts the next attempt to connect
	refreshTimer *time.Timer // starts the next fetch of a token
	connectTimer *time.Timer // ends an iterator that was never live

	// The pauses before an attempt to connect, or to refresh.
	connectPauses, refreshPauses func(attempt int) time.Duration

	neverLive bool
	dialing   bool
	switching bool  // the socket is being closed so that another one is opened at once
	leaving   error // why the socket or the attempt to open one is being ended, or nil
	away      bool  // the program is suspended: no attempts are made
	attempt   int   // failed attempts since the last stable connection
	liveSince time.Time
	lastErr   error        // of the last attempt
	attempts  attempts     // before it was live
	retryHint atomic.Int64 // the pause that the server asked for with its last event

	needNewToken  bool // the token was refused, and no other one has been fetched yet
	tokenRefused  bool // a token was refused, and none has been accepted since
	fetching      bool
	fetchFailures int
	shareFailures int // since the server last accepted a token on an open socket

	stopDialing    func() // while dialing
	stop           func() // ends the subscription, or nil
	subscribing    bool
	answered       bool      // an earlier subscription was answered
	originalServer bool      // by a server of oRPC
	slowLogged     time.Time // when events were last reported to be read too slowly
	lifetimeLogged bool      // tokens were reported to live too short a time

	end error // why run returns, or nil while it runs
}

func newSupervisor(c *core) *supervisor {
	return &supervisor{
		core:         c,
		inbox:        make(chan func()),
		quit:         make(chan struct{}),
		retryTimer:   stoppedTimer(),
		refreshTimer: stoppedTimer(),
		connectTimer: stoppedTimer(),
		neverLive:    true,

		connectPauses: c.options.pauses(),
		refreshPauses: c.options.pauses(),
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run keeps the iterator connected until it ends, and returns when nothing of it is
// running.
func (s *supervisor) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel(ErrClosed) // releases the context
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	changes, unwatch := s.options.watch()
	defer unwatch()
	s.limitConnecting()
	defer func() { // also if a function of the application ends the goroutine
		if s.end == nil {
			s.end = errEndedGoroutine
		}
		close(s.quit)
		stopWorking()
		s.shutdown(ctx)
	}()
	_, s.end = run(&s.app, func() (any, error) { return nil, s.loop(ctx, working, changes) })
}

// loop keeps the iterator connected until end is set, and returns it. Operations use the
// context working.
func (s *supervisor) loop(ctx, working context.Context, changes <-chan dial.Change) error {
	s.scheduleRefresh(0)
	s.connect(working)
	for s.end == nil {
		select {
		case next := <-s.inbox:
			next()
		case <-s.retryTimer.C:
			s.connect(working)
		case <-s.refreshTimer.C:
			s.fetch(working)
		case <-s.connectTimer.C:
			s.connectTimedOut()
		case <-s.buffer.room:
			s.resubscribe(working)
		case c := <-changes:
			s.changed(working, c)
		case <-ctx.Done():
			s.end = causeOf(ctx)
		}
	}
	return s.end
}

// causeOf returns the error of an iterator whose context has ended. Unless the iterator
// was closed, it wraps context.Canceled or context.DeadlineExceeded, whatever the cause of
// the context is.
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
	s.retryTimer.Stop()
	s.refreshTimer.Stop()
	s.connectTimer.Stop()
	reason := s.end
	if errors.Is(reason, ErrClosed) {
		reason = nil
	}
	s.storeState(StateClosed, reason) // before loops end, which may read it
	switch {
	case reason == nil:
		s.buffer.drop(nil)
	case ctx.Err() != nil:
		s.buffer.drop(reason)
	default:
		s.buffer.finish(reason)
	}
	defer func() { // also if OnStateChange ends the goroutine
		s.peer.Close(ErrClosed)
		if s.conn != nil {
			s.conn.close()
		}
		s.ops.Wait()
	}()
	s.reportState(context.WithoutCancel(ctx), StateClosed, reason)
}

// post passes next to the goroutine of run, which calls it. It returns false if run has
// returned.
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

// connectTimedOut ends an iterator that could not connect in time.
func (s *supervisor) connectTimedOut() {
	err := fmt.Errorf("client: connect: %w after %v", context.DeadlineExceeded, s.options.ConnectTimeout)
	if s.lastErr != nil {
		err = because(err, s.lastErr)
	}
	s.fail(err)
}

// connect starts an attempt to connect.
func (s *supervisor) connect(ctx context.Context) {
	s.setState(ctx, StateConnecting, nil)
	s.attemptConnect(ctx)
}

// attemptConnect is connect in StateConnecting.
func (s *supervisor) attemptConnect(ctx context.Context) {
	if s.needNewToken {
		s.fetch(ctx) // which then dials
		return
	}
	s.dial(ctx)
}

func (s *supervisor) dial(ctx context.Context) {
	s.dialing = true
	cred := s.credential()
	waiting, stop := context.WithTimeout(ctx, s.options.DialTimeout)
	s.stopDialing = stop
	s.ops.Go(func() {
		defer stop()
		conn, err := (*connection)(nil), errEndedGoroutine
		defer func() {
			if !s.post(func() { s.dialed(ctx, conn, cred, err) }) && conn != nil {
				conn.Drop() // the iterator has ended
			}
		}()
		conn, err = run(&s.app, func() (*connection, error) { return s.open(waiting, cred) })
	})
}

func (s *supervisor) dialed(ctx context.Context, conn *connection, cred credential, err error) {
	s.dialing = false
	if err == nil && s.leaving != nil {
		conn.Drop()
		err = s.leaving
	}
	if err != nil {
		s.lost(ctx, cred, prefixed("client: dial", s.redact(err)))
		return
	}
	s.setConnection(conn)
	conn.serve(s.peer, s.options.PingInterval, func(err error) {
		s.post(func() {
			s.setConnection(nil)
			s.stop, s.subscribing = nil, false
			s.lost(ctx, conn.cred, prefixed("client", err))
		})
	})
	if s.buffer.paused() {
		s.live(ctx) // for calls
		return
	}
	s.subscribe(ctx)
}

// lost decides what to do after a connection was lost or not opened.
func (s *supervisor) lost(ctx context.Context, cred credential, err error) {
	if s.leaving != nil {
		err, s.leaving = prefixed("client", s.leaving), nil
	}
	err = refusalOf(err)
	refused := isTokenRefused(err) && cred.text == s.credential().text
	switch {
	case ctx.Err() != nil: // which is the reason
		return
	case errors.Is(err, ErrEnded):
		s.fail(err)
		return
	case s.switching:
		s.switching = false
		s.attemptConnect(ctx)
		return
	case refused && s.tokenRefused && !cred.outlived():
		s.fail(because(ErrRefused, err))
		return
	case refused:
		s.tokenRefused, s.needNewToken = true, true
	case s.neverLive && isFinal(err):
		s.fail(err)
		return
	case errors.Is(err, dial.ErrNotOpened) && s.options.TokenPlace == TokenInURL:
		// The server may have refused the token, which browsers do not report. If so, the
		// source will.
		s.needNewToken = true
	}
	s.waitToRetry(ctx, err)
}

// waitToRetry pauses before the next attempt to connect.
func (s *supervisor) waitToRetry(ctx context.Context, err error) {
	if !s.liveSince.IsZero() && time.Since(s.liveSince) >= stableAfter {
		s.attempt = 0
	}
	s.liveSince = time.Time{}
	s.attempt++
	s.lastErr = err
	if s.neverLive && s.attempts.isNew(err) {
		s.options.Logger.WarnContext(ctx, "not connected yet", "id", s.id, "err", err)
	}
	asked := max(time.Duration(s.retryHint.Load()), retryAfter(err, time.Now()))
	if !s.away {
		s.retryTimer.Reset(min(asked, maxHint) + s.connectPauses(s.attempt))
	}
	s.setState(ctx, StateWaiting, err)
}

// reconnect closes the socket and opens another one at once.
func (s *supervisor) reconnect(ctx context.Context) {
	if s.conn == nil || s.switching || s.leaving != nil {
		return
	}
	s.switching = true
	s.setState(ctx, StateConnecting, nil)
	s.ops.Go(s.conn.close)
}

// live is called when the server has answered a subscription.
func (s *supervisor) live(ctx context.Context) {
	s.tokenRefused = false
	if s.state == StateLive {
		return
	}
	s.liveSince = time.Now()
	s.setState(ctx, StateLive, nil)
	if s.neverLive {
		s.neverLive = false
		s.connectTimer.Stop()
		close(s.opened)
	}
	s.sendUpdateToken(ctx)
}
