package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	// longestLife is the longest lifetime of a token that iat is believed for. A
	// longer one is more likely an iat that means nothing, such as 0.
	longestLife = 366 * 24 * time.Hour
	// blindDelay is the shortest time between refreshes that only the clock of this
	// machine asks for. If that is wrong, every token seems to be due at once.
	blindDelay = time.Minute
)

// refreshDelay returns how long after a token has come, at now, it is replaced: before
// the end of its lifetime, which is counted from now. So the clock of this machine need
// not agree with that of the server. Without a lifetime that makes sense the clock is
// all that there is.
//
// Times that are too far away for a Duration are as far as it goes, some 292 years.
func refreshDelay(now time.Time, p *token.Payload, before, least time.Duration) time.Duration {
	left := lifetime(now, p)
	if left == 0 {
		left, least = p.ExpiresAt.Sub(now), max(least, blindDelay)
	}
	delay := left - before
	switch { // the difference may have overflowed
	case before < 0 && delay < left:
		delay = math.MaxInt64
	case before > 0 && delay > left:
		delay = math.MinInt64
	}
	return max(least, delay)
}

// lifetime returns how long a token is good that has come at now, 0 if it does not say.
func lifetime(now time.Time, p *token.Payload) time.Duration {
	life := p.ExpiresAt.Sub(p.IssuedAt)
	if life <= 0 || life > longestLife {
		return 0
	}
	// IssuedAt is rounded down to the second. A clock that agrees is more exact.
	if left := p.ExpiresAt.Sub(now); life-time.Second < left && left < life {
		return left
	}
	return life
}

// scheduleRefresh sets the timer of the next refresh, which is not before least.
func (s *supervisor) scheduleRefresh(least time.Duration) {
	payload := s.credential().payload
	before := s.options.RefreshTokenBeforeExpire
	if s.options.RefreshTokenBeforeExpireFunc != nil {
		before = s.options.RefreshTokenBeforeExpireFunc(payload)
	}
	if before <= 0 {
		s.refreshTimer.Stop() // it may run for an earlier token
		return
	}
	s.refreshTimer.Reset(refreshDelay(time.Now(), payload, before, least))
}

// fetch starts the fetch of a new token, unless one is being fetched.
func (s *supervisor) fetch(ctx context.Context) {
	if s.fetching {
		return
	}
	s.fetching = true
	s.ops.Go(func() {
		waiting, stop := context.WithTimeout(ctx, s.options.DialTimeout)
		defer stop()
		cred, err := credential{}, errEndedGoroutine
		defer func() { s.post(func() { s.fetched(ctx, cred, err) }) }()
		cred, err = run(&s.app, func() (credential, error) { return fetchCredential(waiting, s.source) })
	})
}

func (s *supervisor) fetched(ctx context.Context, cred credential, err error) {
	s.fetching = false
	if err != nil {
		s.fetchFailed(ctx, err)
		return
	}
	s.fetchFailures = 0
	s.needNewToken = false
	s.setCredential(cred)
	s.scheduleRefresh(s.options.RefreshTokenDelay)
	if s.state == StateConnecting && s.conn == nil && !s.dialing {
		s.dial(ctx)
	}
	s.sendUpdateToken(ctx)
}

// fetchFailed schedules another fetch, or ends an iterator that gets no token any more.
func (s *supervisor) fetchFailed(ctx context.Context, err error) {
	err = fmt.Errorf("client: refresh: %w", s.redact(err))
	switch {
	case ctx.Err() != nil: // which is the reason
	case isFetchRefused(err):
		s.fail(fmt.Errorf("%w: %w", ErrRefused, err))
	case s.needNewToken && s.neverLive && isFinal(err):
		s.fail(err)
	case s.needNewToken && s.state == StateConnecting:
		s.waitToRetry(ctx, err)
	case !s.needNewToken:
		s.fetchFailures++
		s.options.Logger.WarnContext(ctx, "token not refreshed", "id", s.id, "err", err)
		s.refreshTimer.Reset(max(s.options.RefreshTokenDelay, s.refreshPauses(s.fetchFailures)))
	}
}

// sendUpdateToken sends the current token on the open socket, unless the server already
// has it. A socket that the token does not fit is replaced.
func (s *supervisor) sendUpdateToken(ctx context.Context) {
	cred := s.credential()
	conn := s.conn
	if s.state != StateLive || conn == nil || conn.updating || conn.cred.text == cred.text {
		return
	}
	if !cred.fitsSocketOf(conn.cred) {
		s.reconnect(ctx)
		return
	}
	conn.updating = true
	s.ops.Go(func() {
		waiting, stop := context.WithTimeout(ctx, s.options.DialTimeout)
		defer stop()
		_, err := s.peer.Call(waiting, &rpc.Call{
			Path: []string{"updateToken"},
			Input: struct {
				Token string `json:"token"`
			}{cred.text},
		})
		s.post(func() { s.updateTokenAnswered(ctx, conn, cred, err) })
	})
}

// updateTokenAnswered records the token that the server has accepted, and opens another
// socket if it has not.
func (s *supervisor) updateTokenAnswered(ctx context.Context, conn *connection, cred credential, err error) {
	conn.updating = false
	switch {
	case ctx.Err() != nil || s.conn != conn || errors.Is(err, rpc.ErrDisconnected):
	case err == nil:
		s.shareFailures = 0
		conn.cred = cred
		s.sendUpdateToken(ctx) // if there is a newer one by now
	default:
		err = s.redact(err)
		s.options.Logger.WarnContext(ctx, "token not taken on the open socket", "id", s.id, "err", err)
		switch rpc.CodeOf(err) {
		case rpc.CodeForbidden, rpc.CodeServiceUnavailable:
			// Another socket would be refused too, and this one has a token that is good.
			s.shareFailures++
			s.refreshTimer.Reset(max(s.options.RefreshTokenDelay, s.refreshPauses(s.shareFailures)))
		default:
			s.reconnect(ctx)
		}
	}
}
