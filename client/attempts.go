package client

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
)

// attempts logs why the attempts to open an iterator fail, since [Dial] and [Subscribe] return
// only when one succeeds. An attempt that fails like the one before it is not logged.
type attempts struct{ last string }

// failed logs an error, which must not contain a token.
func (a *attempts) failed(ctx context.Context, logger *slog.Logger, message string, err error, args ...any) {
	text := withoutDigits(fmt.Sprint(err)) // each attempt has another port
	if text == a.last {
		return
	}
	a.last = text
	logger.WarnContext(ctx, message, append(args, "err", err)...)
}

func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// withRetryLog returns options whose retries are logged with the logger that the function logger
// returns.
func withRetryLog(ctx context.Context, opts []rpc.CallOption, logger func() *slog.Logger) []rpc.CallOption {
	opts = slices.Clone(opts)
	for i, option := range opts {
		retry, ok := option.(rpc.Retry)
		if !ok {
			continue
		}
		var tries attempts
		own := retry.OnRetry
		retry.OnRetry = func(attempt int, err error) func(bool) {
			tries.failed(ctx, logger(), "no token yet", newRedactor().clean(err))
			if own == nil {
				return nil
			}
			return own(attempt, err)
		}
		opts[i] = retry
	}
	return opts
}
