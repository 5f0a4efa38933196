package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// damaged is a log in which reading the head of some channels fails when a test wants it to.
type damaged struct {
	eventlog.Log
	head func(ctx context.Context) error
	now  atomic.Bool
}

func (l *damaged) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	if l.now.Load() && strings.HasPrefix(channel, "damaged") {
		if err := l.head(ctx); err != nil {
			return eventlog.Position{}, err
		}
	}
	return l.Log.Head(ctx, channel)
}

// The cursors of a channel move even if those of others cannot.
func TestCursorsMoveBesideDamagedChannels(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damaged int // number of channels
		head    func(ctx context.Context) error
		logged  string
	}{
		"one fails": {
			1, func(context.Context) error { return errors.New("bad sector") },
			`task="moving cursors" err="channel \\"damaged0\\": bad sector"`,
		},
		"many fail": {
			30, func(context.Context) error { return errors.New("bad sector") },
			`task="moving cursors" err="30 of 31 channels failed: channel \\"damaged[0-9]+\\": bad sector"`,
		},
		"one panics": {1, func(context.Context) error { panic("bad sector") }, `err="channel \\"damaged0\\": panic: bad sector"`},
		"one hangs": {
			1, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			`err="channel \\"damaged0\\": context deadline exceeded"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, book := keeping, &logBook{}
				log := &damaged{Log: eventlog.NewMemory(nil), head: test.head}
				o.Log, o.Logger = log, book.logger()
				f := newFixture(t, o, nil)
				for i := range test.damaged {
					f.room(fmt.Sprint("damaged", i))
				}
				c := f.connect("a")
				c.subscribe(extension)
				log.now.Store(true)
				for range 20 { // the order of the channels is random
					f.publish("for nobody", durableobject.WithTags("x"))
					time.Sleep(keeping.ResumeRetention/4 + 11*time.Second)
					_, cursor := c.drain()
					require.NotEmpty(t, cursor)
				}
				book.matches(t, test.logged)
				f.end()
				require.NoError(t, log.Close())
			})
		})
	}
}
