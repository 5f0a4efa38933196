package natslog

import "time"

// dispatch passes republished messages to their feeds.
func (l *Log) dispatch() {
	var reconnects uint64
	for {
		select {
		case m := <-l.live:
			if n := l.nc.Stats().Reconnects; n != reconnects {
				reconnects = n
				l.doubt()
			}
			l.mu.Lock()
			f := l.feeds[m.Subject]
			l.mu.Unlock()
			if f == nil || l.deaf.Load() {
				continue
			}
			msg, ok := parseMessage(l.options.Stream, m)
			if !ok || msg.subject != f.stored {
				l.broken(m.Subject, nil)
				continue
			}
			l.skew.Store(int64(time.Until(msg.time)))
			f.mu.Lock()
			f.take(msg)
			f.mu.Unlock()
		case <-l.ctx.Done():
			return
		}
	}
}

// doubt makes each feed check, before it takes another message, that the stream still has
// the last message that it took: a server that was unreachable may have lost some.
func (l *Log) doubt() {
	for _, t := range l.tails() {
		t.mu.Lock()
		t.doubtful = true
		t.mu.Unlock()
	}
}

// broken counts and logs a message that is not a valid record, and is skipped.
func (l *Log) broken(subject string, err error) {
	l.stats.broken.Add(1)
	l.options.Logger.Warn("event log: a message is not a valid record", "subject", subject, "err", err)
}
