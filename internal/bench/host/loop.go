package host

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// loop publishes count events, numbered from start on.
type loop struct {
	publish      Publish
	pad          string
	count, start int64
	rate, window int64
	acks         *acks
	began        time.Time
	next         atomic.Int64
}

// run publishes with parallel goroutines, or with one if the pace is set.
func (l *loop) run(ctx context.Context, parallel int) error {
	if parallel <= 1 || l.rate > 0 || l.window > 0 {
		return l.publishAll(ctx)
	}
	var wg sync.WaitGroup
	errs := make([]error, parallel)
	for i := range parallel {
		wg.Go(func() { errs[i] = l.publishAll(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *loop) publishAll(ctx context.Context) error {
	for {
		i := l.next.Add(1) - 1
		if i >= l.count {
			return nil
		}
		if l.rate > 0 {
			time.Sleep(time.Until(l.began.Add(time.Duration(i) * time.Second / time.Duration(l.rate))))
		}
		if l.window > 0 && !l.acks.wait(l.start+i-l.window) {
			return errors.New("acks ended")
		}
		event := Event{Seq: FirstSeq + l.start + i, TS: time.Now().UnixNano(), Pad: l.pad}
		if err := l.publish(ctx, event); err != nil {
			return err
		}
	}
}
