package durableobject

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// An object whose hook does not return uses at most half of the queue. Dropped calls are counted,
// and logged at a bounded rate.
func TestHooksThatAreDropped(t *testing.T) {
	var log lines
	inMembers(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, p *members) {
		unblock := make(chan struct{})
		var mu sync.Mutex
		called := map[string]int{}
		p.hooks.call = func(h hookCall) {
			if h.channel == "stuck" {
				<-unblock
			}
			mu.Lock()
			defer mu.Unlock()
			called[h.channel]++
		}
		for range maxHooks + 10 {
			p.hooks.push(hookCall{channel: "stuck"})
		}
		for i := range 100 {
			p.hooks.push(hookCall{channel: fmt.Sprint("free ", i)})
		}
		synctest.Wait()
		mu.Lock()
		require.Len(t, called, 100)
		mu.Unlock()
		require.Equal(t, 1, log.count("level=ERROR"))
		time.Sleep(time.Minute)
		for range 2 { // the first one is queued if the running call was taken from a full queue
			p.hooks.push(hookCall{channel: "stuck"})
		}
		require.Equal(t, 2, log.count("level=ERROR"))
		close(unblock)
		synctest.Wait()
		mu.Lock()
		require.InDelta(t, maxHooks/2, called["stuck"], 1)
		mu.Unlock()
		p.hooks.mu.Lock()
		defer p.hooks.mu.Unlock()
		require.Empty(t, p.hooks.waiting)
		require.Zero(t, p.hooks.count)
		require.Zero(t, p.hooks.workers)
	})
}

// The calls of an object are made in order, whatever the number of workers.
func TestHooksKeepTheirOrder(t *testing.T) {
	inMembers(t, Options{HookTimeout: time.Second}, func(t *testing.T, p *members) {
		var mu sync.Mutex
		got := map[string][]string{}
		p.hooks.call = func(h hookCall) {
			time.Sleep(time.Duration(len(h.member.ID)) * 400 * time.Millisecond) // some are overdue
			mu.Lock()
			defer mu.Unlock()
			got[h.channel] = append(got[h.channel], h.member.ID)
		}
		var want []string
		for i := range 12 {
			id := strings.Repeat("x", i%4) + string(rune('a'+i))
			want = append(want, id)
			for ch := range 200 {
				p.hooks.push(hookCall{channel: fmt.Sprint(ch), member: Member{Recipient: Recipient{ID: id}}})
			}
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, got, 200)
		for _, ids := range got {
			require.Equal(t, want, ids)
		}
	})
}
