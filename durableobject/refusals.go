package durableobject

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Reasons in [Stats.Refusals] for which a client was refused.
const (
	// RefusedHandshake means that the request was not a valid request for a WebSocket, or
	// that the connection could not be taken over from net/http.
	RefusedHandshake = "handshake"
	// RefusedOrigin means that pages of its origin may not connect: see
	// HandlerOptions.OriginPatterns.
	RefusedOrigin = "origin"
	// RefusedRequest means that the id or the token was missing, that the id was too long, or
	// that the request was too large to be kept for Authorize.
	RefusedRequest = "request"
	// RefusedSize means that the token was larger than Options.MaxTokenBytes.
	RefusedSize = "size"
	// RefusedMalformed means that the verifier returned token.ErrMalformed.
	RefusedMalformed = "malformed"
	// RefusedSignature means that the verifier returned token.ErrSignature: the token was
	// forged, or it was signed with a key that the verifier does not have.
	RefusedSignature = "signature"
	// RefusedClaims means that the verifier returned token.ErrClaims.
	RefusedClaims = "claims"
	// RefusedExpired means that the token had expired.
	RefusedExpired = "expired"
	// RefusedChannel means that Options.Channels returned false.
	RefusedChannel = "channel"
	// RefusedRevoked means that the token was revoked: see [Namespace.Revoke].
	RefusedRevoked = "revoked"
	// RefusedUpdate means that a new token of an open socket had another channel, other tags
	// or another subject than the token before.
	RefusedUpdate = "update"
	// RefusedAuthorize means that HandlerOptions.Authorize returned an error.
	RefusedAuthorize = "authorize"
	// RefusedUnavailable means that the client was to try again later: the verifier, the log
	// or the bus failed, or the namespace was shutting down.
	RefusedUnavailable = "unavailable"
	// RefusedOther means that the server or a function of the application failed.
	RefusedOther = "other"
)

const (
	// quietInterval is how long further refusals with the same reason are only counted after
	// one was logged.
	quietInterval = 10 * time.Second
	// maxLoggedText is how many bytes of a string that the client or a key service has sent
	// are logged.
	maxLoggedText = 256
)

// refusals counts the refused clients by reason. The map is not changed after it was made.
type refusals map[string]*refusalCount

// refusalCount has the refusals with one reason.
type refusalCount struct {
	total      atomic.Uint64
	quietUntil atomic.Int64  // in nanoseconds since the namespace was created
	suppressed atomic.Uint64 // since the last one that was logged
}

func newRefusals() refusals {
	r := refusals{}
	for _, reason := range []string{
		RefusedHandshake, RefusedOrigin, RefusedRequest, RefusedSize, RefusedMalformed, RefusedSignature, RefusedClaims,
		RefusedExpired, RefusedChannel, RefusedRevoked, RefusedUpdate, RefusedAuthorize, RefusedUnavailable, RefusedOther,
	} {
		r[reason] = &refusalCount{}
	}
	return r
}

func (r refusals) add(reason string) { r[reason].total.Add(1) }

// counts returns the numbers of refusals with the reasons that have occurred.
func (r refusals) counts() map[string]uint64 {
	counts := map[string]uint64{}
	for reason, c := range r {
		if n := c.total.Load(); n > 0 {
			counts[reason] = n
		}
	}
	return counts
}

// due reports whether a refusal at a time since the namespace was created is to be logged, and
// the number of those that were not since the last one that was.
func (c *refusalCount) due(at time.Duration) (suppressed uint64, ok bool) {
	until := c.quietUntil.Load()
	if int64(at) < until || !c.quietUntil.CompareAndSwap(until, int64(at+quietInterval)) {
		c.suppressed.Add(1)
		return 0, false
	}
	return c.suppressed.Swap(0), true
}

// refuse counts a client that is refused and logs the cause, which the client does not learn. A
// client can cause any number of refusals, so one is logged in quietInterval for each reason.
// Those that occur in normal use are all logged, at level Debug.
func (c *core) refuse(ctx context.Context, reason string, cause error, args ...any) {
	c.refusals.add(reason)
	level := slog.LevelWarn
	if reason == RefusedExpired || reason == RefusedHandshake {
		level = slog.LevelDebug
	}
	if !c.logger.Enabled(ctx, level) {
		return
	}
	if level == slog.LevelWarn {
		suppressed, ok := c.refusals[reason].due(time.Since(c.start))
		if !ok {
			return
		}
		if suppressed > 0 {
			args = append(args, "suppressed", suppressed)
		}
	}
	c.logger.Log(ctx, level, "client refused", append([]any{"reason", reason, "err", causeText(cause)}, args...)...)
}

// causeText returns the beginning of the message of an error, which may be the application's.
func causeText(cause error) (text string) {
	err := try(func() error {
		text = shorten(cause.Error())
		return nil
	})
	if err != nil {
		return shorten(err.Error())
	}
	return text
}

// refuseToken refuses a token because of the error of the verifier. If that means that the token
// was authentic, its channel is logged.
func (c *core) refuseToken(ctx context.Context, tok string, err error) *rpc.Error {
	reason := RefusedMalformed
	for _, r := range []struct {
		err    error
		reason string
	}{{token.ErrExpired, RefusedExpired}, {token.ErrClaims, RefusedClaims}, {token.ErrSignature, RefusedSignature}} {
		if errors.Is(err, r.err) {
			reason = r.reason
			break
		}
	}
	var args []any
	if reason == RefusedClaims || reason == RefusedExpired && c.logger.Enabled(ctx, slog.LevelDebug) {
		if p, err := token.Parse(tok); err == nil {
			args = []any{"channel", shorten(p.Channel)}
		}
	}
	c.refuse(ctx, reason, &tokenError{err, tok}, args...)
	return rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
}

// refuseFailed is like failed, and counts the client that is refused because of the failure.
func (c *core) refuseFailed(ctx context.Context, message, channel string, err error) *rpc.Error {
	c.refusals.add(RefusedOther)
	return c.failed(ctx, message, channel, err)
}

// tokenError is the error of a verifier about a token, without the token.
type tokenError struct {
	err   error
	token string
}

// Error returns the message without the token, and without its signature if that stands alone.
func (e *tokenError) Error() string {
	const replacement = "[redacted]"
	message := e.err.Error()
	if e.token != "" {
		message = strings.ReplaceAll(message, e.token, replacement)
	}
	if signature := e.token[strings.LastIndexByte(e.token, '.')+1:]; len(signature) >= len(replacement) {
		message = strings.ReplaceAll(message, signature, replacement)
	}
	return message
}

// shorten returns a copy of the beginning of a string, because a log record is kept until it is
// handled.
func shorten(text string) string {
	return strings.ToValidUTF8(strings.Clone(text[:min(len(text), maxLoggedText)]), "")
}
