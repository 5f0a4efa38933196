package client

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
)

// attempts are those to open an iterator. Why they fail is logged, since [Dial] and [Subscribe]
// return only when one succeeds.
type attempts struct{ last string }

// isNew reports whether an attempt has failed in another way than the one before it.
func (a *attempts) isNew(err error) bool {
	text := withoutDigits(fmt.Sprint(err)) // each attempt has another port
	if text == a.last {
		return false
	}
	a.last = text
	return true
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
			if err := newRedactor().clean(err); tries.isNew(err) {
				logger().WarnContext(ctx, "no token yet", "err", err)
			}
			if own == nil {
				return nil
			}
			return own(attempt, err)
		}
		opts[i] = retry
	}
	return opts
}
