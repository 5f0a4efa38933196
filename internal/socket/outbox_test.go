package socket

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// boxed is a Source with an outbox only. It adds nothing while it is shut.
type boxed struct {
	Outbox

	mu     sync.Mutex
	shut   bool
	passed uint64
}

func (b *boxed) Pull(batch *Batch, _ bool) More {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		return None
	}
	b.Take(batch, func(after uint64) bool { return after <= b.passed })
	if batch.Shared != nil || len(batch.Own) >= BatchSize {
		return Some
	}
	return None
}

func (b *boxed) Visit(time.Time) (again time.Time) { return again }

func (b *boxed) set(shut bool, passed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut, b.passed = shut, passed
}

// inOutbox runs a test with a connection whose source is a shut outbox.
func inOutbox(t *testing.T, limit int, test func(t *testing.T, b *boxed, p *peer)) {
	t.Helper()
	inBubble(t, 0, func(t *testing.T, pool *Pool, _ func() *peer) {
		b := &boxed{shut: true}
		p := pipe(t, pool, b)
		b.Open(p.conn, limit)
		test(t, b, p)
		p.end()
	})
}

// put puts a frame on a separate goroutine and sends the error to the channel.
func (b *boxed) put(ctx context.Context, payload string, after uint64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- b.Put(ctx, Frame([]byte(payload), false), after) }()
	synctest.Wait()
	return done
}

func TestOutboxWaitsForRoom(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, p *peer) {
		payload := strings.Repeat("x", 100)
		var done []<-chan error
		for i := range 9 {
			done = append(done, b.put(t.Context(), string(rune('0'+i))+payload, 0))
		}
		for i, d := range done {
			require.Equal(t, i < 2, len(d) == 1, i)
		}
		b.set(false, 0)
		p.conn.Wake()
		for i := range done {
			_, got := p.read()
			require.Equal(t, string(rune('0'+i)), got[:1])
			require.NoError(t, <-done[i])
		}
		require.True(t, b.Empty())
		require.EqualValues(t, 9, b.Added())
	})
}

func TestOutboxHasRoomForOneFrame(t *testing.T) {
	inOutbox(t, 100, func(t *testing.T, b *boxed, p *peer) {
		large := b.put(t.Context(), strings.Repeat("x", 100_000), 0)
		require.NoError(t, <-large)
		small := b.put(t.Context(), "small", 0)
		require.Empty(t, small)
		b.set(false, 0)
		p.conn.Wake()
		_, got := p.read()
		require.Len(t, got, 100_000)
		_, got = p.read()
		require.Equal(t, "small", got)
		require.NoError(t, <-small)
	})
}

// A frame costs its capacity, not its length.
func TestOutboxCountsCapacity(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, _ *peer) {
		require.NoError(t, b.Put(t.Context(), append(make([]byte, 0, 400), "x"...), 0))
		require.Empty(t, b.put(t.Context(), strings.Repeat("x", 100), 0))
	})
}

func TestOutboxContext(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, _ *peer) {
		ended, end := context.WithCancel(t.Context())
		end()
		require.NoError(t, b.Put(ended, make([]byte, 300), 0), "a context counts for waiting only")
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := b.put(ctx, strings.Repeat("x", 300), 0)
		second := b.put(t.Context(), "second", 0)
		require.Empty(t, second, "frames do not overtake each other")
		cancel(cause)
		require.Equal(t, cause, <-first)
		synctest.Wait()
		require.NoError(t, <-second, "the frame that it waited for has been taken")
	})
}

func TestOutboxClose(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, p *peer) {
		first := b.put(t.Context(), strings.Repeat("x", 300), 0)
		require.NoError(t, <-first)
		second := b.put(t.Context(), strings.Repeat("x", 300), 0)
		require.Empty(t, second)
		b.Close()
		require.ErrorIs(t, <-second, ErrClosed)
		require.ErrorIs(t, b.Put(t.Context(), []byte("x"), 0), ErrClosed)
		b.set(false, 0)
		p.conn.Wake()
		_, got := p.read()
		require.Len(t, got, 300, "frames that were added before are still sent")
	})
}

// A frame that was added before the outbox was closed is not reported as refused, even if
// the outbox is closed before the call of Put that waited for room goes on.
func TestOutboxCloseAfterAWait(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, p *peer) {
		size := cap(Frame([]byte(strings.Repeat("x", 300)), false))
		require.NoError(t, b.Reserve(t.Context(), size))
		granted := b.put(t.Context(), "granted"+strings.Repeat("x", 200), 0)
		refused := b.put(t.Context(), strings.Repeat("x", 400), 0)
		require.Empty(t, granted)
		b.Outbox.mu.Lock() // until the outbox is closed, no call of Put goes on
		b.size = 0
		b.grant()
		b.close()
		b.Outbox.mu.Unlock()
		require.NoError(t, <-granted)
		require.ErrorIs(t, <-refused, ErrClosed)
		b.set(false, 0)
		p.conn.Wake()
		_, got := p.read()
		require.Equal(t, "granted", got[:7])
	})
}

func TestOutboxDiscard(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, _ *peer) {
		require.NoError(t, b.Put(t.Context(), []byte("x"), 0))
		b.Close()
		b.Discard()
		require.True(t, b.Empty())
		require.Zero(t, b.Size())
		var batch Batch
		b.Take(&batch, func(uint64) bool { return true })
		require.Empty(t, batch.Own)
	})
}

// A frame waits until the reader of events has passed its Seq, and other frames do not wait
// for it.
func TestOutboxWaitsForEvents(t *testing.T) {
	inOutbox(t, 10_000, func(t *testing.T, b *boxed, p *peer) {
		for payload, after := range map[string]uint64{"5": 5, "7": 7} {
			require.NoError(t, <-b.put(t.Context(), payload, after))
		}
		require.NoError(t, <-b.put(t.Context(), "0", 0))
		for passed, want := range []string{3: "0", 6: "5", 7: "7"} {
			if want == "" {
				continue
			}
			b.set(false, uint64(passed))
			p.conn.Wake()
			_, got := p.read()
			require.Equal(t, want, got)
		}
	})
}

// Frames may hold half of the limit, and not a byte more.
func TestOutboxLimit(t *testing.T) {
	for limit, fits := range map[int]bool{1000: true, 998: false} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			inOutbox(t, limit, func(t *testing.T, b *boxed, _ *peer) {
				require.NoError(t, b.Reserve(t.Context(), 200-FrameOverhead))
				done := make(chan error, 1)
				go func() { done <- b.Put(t.Context(), make([]byte, 300-FrameOverhead), 0) }()
				synctest.Wait()
				require.Equal(t, fits, len(done) == 1)
				b.Close()
				if err := <-done; fits {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, ErrClosed)
				}
			})
		})
	}
}

// Reservations count like frames.
func TestOutboxReserve(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, p *peer) {
		frame := Frame(bytes.Repeat([]byte("x"), 300), false)
		require.NoError(t, b.Reserve(t.Context(), cap(frame)))
		waits := b.put(t.Context(), strings.Repeat("y", 300), 0)
		require.Empty(t, waits)
		require.NoError(t, b.Add(frame))
		synctest.Wait()
		require.Empty(t, waits)
		b.set(false, 0)
		p.conn.Wake()
		for _, want := range "xy" {
			_, got := p.read()
			require.Equal(t, string(want), got[:1])
		}
		require.NoError(t, <-waits)
		require.NoError(t, b.Reserve(t.Context(), 900))
		waits = b.put(t.Context(), "z", 0)
		require.Empty(t, waits)
		b.Release(900)
		require.NoError(t, <-waits)
		_, got := p.read()
		require.Equal(t, "z", got)
	})
}

// Frames are sent without a further Wake, however they are added.
func TestOutboxWakes(t *testing.T) {
	for name, add := range map[string]func(t *testing.T, b *boxed, frame []byte){
		"Put": func(t *testing.T, b *boxed, frame []byte) {
			t.Helper()
			require.NoError(t, b.Put(t.Context(), frame, 0))
		},
		"Put, after a wait": func(t *testing.T, b *boxed, frame []byte) {
			t.Helper()
			require.NoError(t, b.Reserve(t.Context(), 900))
			done := make(chan error)
			go func() { done <- b.Put(t.Context(), frame, 0) }()
			synctest.Wait()
			b.Release(900)
			require.NoError(t, <-done)
		},
		"Add": func(t *testing.T, b *boxed, frame []byte) {
			t.Helper()
			require.NoError(t, b.Reserve(t.Context(), cap(frame)))
			require.NoError(t, b.Add(frame))
		},
		"Force": func(_ *testing.T, b *boxed, frame []byte) { b.Force(frame) },
	} {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, 1000, func(t *testing.T, b *boxed, p *peer) {
				b.set(false, 0)
				for range 2 {
					add(t, b, Frame([]byte("frame"), false))
					_, got := p.read()
					require.Equal(t, "frame", got)
					synctest.Wait()
					require.Zero(t, b.Size())
				}
			})
		})
	}
}

// Closing an outbox refuses frames that have room already.
func TestOutboxAddAfterClose(t *testing.T) {
	inOutbox(t, 1000, func(t *testing.T, b *boxed, _ *peer) {
		require.NoError(t, b.Reserve(t.Context(), 1))
		b.Close()
		require.ErrorIs(t, b.Add([]byte("x")), ErrClosed)
		require.ErrorIs(t, b.Reserve(t.Context(), 1), ErrClosed)
		b.Force([]byte("x"))
		require.True(t, b.Empty())
		require.Zero(t, b.Added())
	})
}

// A large frame is not copied into the buffer that connections share.
func TestOutboxBatches(t *testing.T) {
	inOutbox(t, 10<<20, func(t *testing.T, b *boxed, _ *peer) {
		small, large := make([]byte, 1000), make([]byte, BatchSize)
		for _, frame := range [][]byte{small, small, large, small} {
			require.NoError(t, b.Put(t.Context(), frame, 0))
		}
		var batch Batch
		b.Take(&batch, func(uint64) bool { return true })
		require.Len(t, batch.Own, 2000)
		require.Len(t, batch.Shared, BatchSize)
		require.False(t, b.Empty())
		batch = Batch{}
		b.Take(&batch, func(uint64) bool { return true })
		require.Len(t, batch.Own, 1000)
		require.True(t, b.Empty())
	})
}
