package peer

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// bubble runs a named test in a synctest bubble, which also fails if it leaves
// a goroutine behind.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func textFrame(s string) Frame { return Frame{Data: []byte(s)} }

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}

// outbox is the sending side of a socket. It keeps the frames that were sent.
type outbox struct {
	mu     sync.Mutex
	frames []string
	ctxs   []context.Context
	fail   func(frame string) error // nil: never
	gate   chan struct{}            // if set, a send waits for one value
}

func (o *outbox) send(ctx context.Context, f Frame) error {
	if o.gate != nil {
		<-o.gate
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		if err := o.fail(string(f.Data)); err != nil {
			return err
		}
	}
	o.frames = append(o.frames, string(f.Data))
	o.ctxs = append(o.ctxs, ctx)
	return nil
}

// take returns the frames sent since the last take, after all goroutines of the bubble are
// blocked.
func (o *outbox) take() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	frames := o.frames
	o.frames = nil
	return frames
}
