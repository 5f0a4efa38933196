package natslog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// suspect makes the watch check the stream at once.
func (l *Log) suspect() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// leastPause is the minimum pause between two checks.
const leastPause = 100 * time.Millisecond

// watch checks the stream and the tails of all feeds until the log is closed.
func (l *Log) watch() {
	timer := time.NewTimer(l.options.TailCheck)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-l.wake:
		case status := <-l.status:
			if status == nats.CONNECTED {
				l.mu.Lock()
				l.verified = false // the server may have lost records
				l.mu.Unlock()
			}
		case <-l.ctx.Done():
			return
		}
		seen := l.tails()
		err := l.check(l.ctx)
		if err == nil {
			err = l.checkTails(l.ctx, seen)
		}
		l.report(err)
		select {
		case <-time.After(leastPause):
		case <-l.ctx.Done():
			return
		}
		timer.Reset(l.options.TailCheck)
	}
}

// report logs that a check has failed, and ends all feeds if checks have failed for long.
func (l *Log) report(err error) {
	if err == nil || l.ctx.Err() != nil {
		return
	}
	l.options.Logger.Warn("event log: checking the stream failed", "stream", l.options.Stream, "err", err)
	l.mu.Lock()
	since := time.Since(l.heard)
	l.mu.Unlock()
	if since < l.options.cutOff {
		return
	}
	for _, f := range l.takeFeeds() {
		f.lose(fmt.Errorf("natslog: the stream cannot be reached: %w", eventlog.ErrUnavailable))
	}
}

// tailBatch is how many channels are checked with one request, which is the server's limit.
const tailBatch = 1000

// feedTail is a feed and the newest message that it has taken.
type feedTail struct {
	*feed
	newest anchor
}

// tails returns all feeds.
func (l *Log) tails() []feedTail {
	l.mu.Lock()
	tails := make([]feedTail, 0, len(l.feeds))
	for _, f := range l.feeds {
		tails = append(tails, feedTail{feed: f})
	}
	l.mu.Unlock()
	for i := range tails {
		tails[i].newest = tails[i].feed.newest()
	}
	return tails
}

// checkTails compares the feeds with the stream, which was checked after tails were read.
func (l *Log) checkTails(ctx context.Context, tails []feedTail) error {
	l.mu.Lock()
	s := l.stream
	l.mu.Unlock()
	for some := range slices.Chunk(tails, tailBatch) {
		if err := l.checkSome(ctx, s, some); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) checkSome(ctx context.Context, s streamState, tails []feedTail) error {
	subjects := make([]string, 0, len(tails))
	for _, t := range tails {
		subjects = append(subjects, t.stored)
	}
	stored := make(map[string]anchor, len(tails))
	upTo, err := l.lastMessages(ctx, subjects, 0, func(m message) { stored[m.subject] = anchor{m.seq, m.id} })
	if err != nil {
		return err
	}
	for _, t := range tails {
		is := stored[t.stored]
		switch {
		case is.seq > t.newest.seq:
			if t.catchUp(is.seq) {
				l.stats.found.Add(1)
			}
			l.saw(s.epoch, is.seq, is.id)
		case is == t.newest:
			t.quiet(is.seq, upTo)
		case t.newest.id == "":
			t.quiet(t.newest.seq, upTo)
		case t.newest.seq > s.last:
			// The stream has no such message: it was forged, or the stream has lost it.
			t.lose(errReplaced)
		case is.seq == t.newest.seq, upTo >= t.newest.seq && t.newest.seq > s.floor:
			// A replica that has messages up to there has another message, or none.
			if err := l.confirm(ctx, s.epoch, t.newest); err != nil {
				return err
			}
		}
	}
	return nil
}
