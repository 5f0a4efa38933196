package filelog

import (
	"math"
	"time"
)

// instant is a moment on the log's clock, in nanoseconds since 1970, and on the machine's.
type instant struct {
	log int64
	at  time.Time
}

// instant returns the present moment. The log's clock is the machine's, but never goes
// back and never stands still: where the machine's is set back, and after an Open whose
// newest record is from the future, it goes on at the pace of the monotonic clock, so
// that records age. It is ahead of the machine's clock from then on, unless that
// overtakes it.
func (l *Log) instant() instant {
	at := time.Now()
	passed := max(int64(at.Sub(l.timeAt)), 0)
	clock := l.time + min(passed, math.MaxInt64-l.time)
	return instant{log: max(clock, nanoseconds(at)), at: at}
}

// now returns the time of the log's clock, which is at or after that of every record.
func (l *Log) now() int64 { return l.instant().log }
