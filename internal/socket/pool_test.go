package socket

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// events is a Source that adds a batch of three events once for each time that it is fed.
type events struct{ script }

func (e *events) Pull(b *Batch, wait bool) More {
	more := e.script.Pull(b, wait)
	if len(b.Own) > 0 || b.Shared != nil {
		b.Events = 3
	}
	return more
}

// A task runs once or more after each Wake, and what it flushes is sent and counted.
func TestTask(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		src := &events{}
		p := pipe(t, pool, src)
		task := pool.NewTask(p.conn.Writer(), func(flush func(*Conn)) { flush(p.conn) })
		for i := range 3 {
			src.feed("event")
			time.Sleep(time.Second)
			task.Wake()
			_, got := p.read()
			require.Equal(t, "event", got)
			synctest.Wait()
			events, bytes := pool.Traffic()
			require.EqualValues(t, 3*(i+1), events)
			require.EqualValues(t, (2+len("event"))*(i+1), bytes)
		}
		p.end()
	})
}
