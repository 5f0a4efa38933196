package filelog

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// handlerFunc is a slog.Handler.
type handlerFunc func()

func (f handlerFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f handlerFunc) WithGroup(string) slog.Handler             { return f }
func (f handlerFunc) Handle(context.Context, slog.Record) error { f(); return nil }

// A logger may use the log that it logs for, panic, or block.
func TestLoggersThatMisbehave(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(l *Log, release chan struct{}){
		"appends": func(l *Log, _ chan struct{}) {
			_ = l.Append(context.Background(), "audit", &eventlog.Record{Data: []byte("1")}, func(*eventlog.Record) {})
		},
		"panics": func(*Log, chan struct{}) { panic("cannot log") },
		"hangs":  func(_ *Log, release chan struct{}) { <-release },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var l atomic.Pointer[Log]
				release := make(chan struct{})
				defer close(release)
				logged := make(chan struct{}, 10)
				options, err := (&Options{Logger: slog.New(handlerFunc(func() {
					logged <- struct{}{}
					handle(l.Load(), release)
				}))}).withDefaults()
				require.NoError(t, err)
				d := newDisk(rand.New(rand.NewPCG(1, 2)))
				log, err := open(d, options)
				require.NoError(t, err)
				l.Store(log)
				d.arm(func(op, _ string) error {
					if op == "sync" {
						return errors.New("input/output error")
					}
					return nil
				})
				record := func() error {
					return log.Append(t.Context(), "room", &eventlog.Record{Data: []byte("1")}, func(*eventlog.Record) {})
				}
				require.ErrorIs(t, record(), eventlog.ErrUncertain)
				<-logged
				require.ErrorIs(t, record(), ErrBroken)
				d.arm(nil)
				require.Error(t, log.Close())
			})
		})
	}
}

// A deliver that panics does not affect other calls: its record and the others of the batch
// are stored and delivered, and the panic is logged.
func TestDeliverThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged atomic.Int32
		options, err := (&Options{Logger: slog.New(handlerFunc(func() { logged.Add(1) }))}).withDefaults()
		require.NoError(t, err)
		log, err := open(newDisk(rand.New(rand.NewPCG(1, 2))), options)
		require.NoError(t, err)
		var delivered atomic.Int32
		var appends sync.WaitGroup
		for i := range 10 {
			appends.Go(func() {
				err := log.Append(t.Context(), "room", &eventlog.Record{Data: []byte("1")}, func(*eventlog.Record) {
					if delivered.Add(1); i%2 == 0 {
						panic("a deliver of the test panics")
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		appends.Wait()
		head, err := log.Head(t.Context(), "room")
		require.NoError(t, err)
		require.EqualValues(t, 10, head.Seq)
		require.EqualValues(t, 10, delivered.Load())
		require.NoError(t, log.Close())
		synctest.Wait()
		require.EqualValues(t, 5, logged.Load())
	})
}
