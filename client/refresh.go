package client

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// blindDelay is the minimum time between refreshes that depend on the clock of this
// machine. If the clock is wrong, every token may seem to have expired.
const blindDelay = time.Minute

// refreshDelay returns how long to wait before replacing a token that has arrived at now: its
// lifetime minus before, but at least least. Since the lifetime is counted from now, the clock
// of this machine does not have to agree with that of the server. If the lifetime is not
// plausible, the clock is used.
//
// Delays that are too long for a Duration become the longest one, about 292 years.
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

// scheduleRefresh sets the timer of the next refresh, which is not before least.
func (s *supervisor) scheduleRefresh(least time.Duration) {
	payload := s.credential().payload
	before := s.options.RefreshTokenBeforeExpire
	if s.options.RefreshTokenBeforeExpireFunc != nil {
		before = s.options.RefreshTokenBeforeExpireFunc(payload)
	}
	if before <= 0 {
		s.refreshTimer.Stop() // it may have been set for an earlier token
		return
	}
	now := time.Now()
	if life := lifetime(now, payload); life > 0 && (life <= before || life <= s.options.RefreshTokenDelay) && !s.lifetimeLogged {
		s.lifetimeLogged = true
		s.options.Logger.Warn("the lifetime of the token is too short to refresh it in time", "id", s.id, "lifetime", life,
			"refresh_token_before_expire", before, "refresh_token_delay", s.options.RefreshTokenDelay)
	}
	s.refreshTimer.Reset(refreshDelay(now, payload, before, least))
}

// fetch starts fetching a new token, unless one is already being fetched.
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

// fetchFailed schedules another fetch, or ends the iterator if its source refuses tokens.
func (s *supervisor) fetchFailed(ctx context.Context, err error) {
	err = prefixed("client: refresh", s.redact(err))
	switch {
	case ctx.Err() != nil: // the reason is that the iterator has ended
	case isFetchRefused(err):
		s.fail(because(ErrRefused, err))
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
// has it. If the token is for another channel or has other tags, the socket is replaced.
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
		s.sendUpdateToken(ctx) // there may be a newer one
	default:
		err = s.redact(err)
		s.options.Logger.WarnContext(ctx, "token not accepted on the open socket", "id", s.id, "err", err)
		switch rpc.CodeOf(err) {
		case rpc.CodeForbidden, rpc.CodeServiceUnavailable:
			// Another socket would be refused too, and this one still has a valid token.
			s.shareFailures++
			s.refreshTimer.Reset(max(s.options.RefreshTokenDelay, s.refreshPauses(s.shareFailures)))
		default:
			s.reconnect(ctx)
		}
	}
}
