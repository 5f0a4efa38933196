package filelog

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// slowDisk sends to begun before it renames the checkpoint, truncates a file or removes
// one, and then waits for goOn.
type slowDisk struct {
	*disk
	begun chan string
	goOn  chan struct{}
}

func (d slowDisk) wait(what string) {
	if d.begun != nil {
		d.begun <- what
		<-d.goOn
	}
}

func (d slowDisk) Rename(from, to string) error {
	d.wait("rename")
	return d.disk.Rename(from, to)
}

func (d slowDisk) Edit(name string) (file, error) {
	d.wait("edit")
	return d.disk.Edit(name)
}

func (d slowDisk) Remove(name string) error {
	d.wait("remove")
	return d.disk.Remove(name)
}

// TestAppendWhileTrimming appends while the checkpoint is being written, and while the file
// of a dropped segment is being truncated and removed.
func TestAppendWhileTrimming(t *testing.T) {
	t.Parallel()
	d := &slowDisk{disk: newDisk(rand.New(rand.NewPCG(1, 1)))}
	options, err := (&Options{cutBytes: 50}).withDefaults()
	require.NoError(t, err)
	l, err := open(d, options)
	require.NoError(t, err)
	add := func() { require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{}, nil)) }

	add()
	d.begun, d.goOn = make(chan string), make(chan struct{})
	trimmed := make(chan error, 1)
	go func() { trimmed <- l.Trim(t.Context(), recordTime(math.MaxInt64)) }()
	var steps []string
	for !slices.Contains(steps, "remove") {
		steps = append(steps, <-d.begun)
		add()
		require.Empty(t, trimmed, "the trim returned before it was done")
		d.goOn <- struct{}{}
	}
	require.Equal(t, []string{"rename", "edit", "remove"}, slices.Compact(steps))
	require.NoError(t, <-trimmed)
	d.begun = nil
	require.NoError(t, l.Close())
}

// TestReplayOfATrimmedSegment reads a segment whose file is truncated meanwhile.
func TestReplayOfATrimmedSegment(t *testing.T) {
	t.Parallel()
	for after := range 30 {
		d := newDisk(rand.New(rand.NewPCG(1, 1)))
		options, err := (&Options{SegmentBytes: 20 << 10, cutBytes: 1 << 10}).withDefaults()
		require.NoError(t, err)
		l, err := open(d, options)
		require.NoError(t, err)
		for range 100 {
			require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{Data: make([]byte, 500)}, nil))
		}
		replay, err := l.After(t.Context(), "a", eventlog.Position{})
		require.NoError(t, err)
		read := 0
		for _, err = range replay.Records {
			if err != nil {
				break
			}
			if read++; read == after+1 {
				require.NoError(t, l.Trim(t.Context(), recordTime(math.MaxInt64)))
			}
		}
		require.ErrorIs(t, err, eventlog.ErrTrimmed)
		require.LessOrEqual(t, read, after+1, "trimmed records are not yielded")
		require.NoError(t, l.Close())
	}
}

// TestTrimsAndCloseTogether trims repeatedly, even while the log is being closed.
func TestTrimsAndCloseTogether(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		d := newDisk(rand.New(rand.NewPCG(seed, 1)))
		options, err := (&Options{SegmentBytes: 300, cutBytes: 100}).withDefaults()
		require.NoError(t, err)
		l, err := open(d, options)
		require.NoError(t, err)
		const trims = 10
		trimmed := make(chan error, trims)
		for range trims {
			require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{Data: make([]byte, 100)}, nil))
			go func() { trimmed <- l.Trim(t.Context(), time.Now()) }()
		}
		require.NoError(t, l.Close())
		for range trims {
			if err := <-trimmed; err != nil {
				require.ErrorIs(t, err, eventlog.ErrClosed)
			}
		}
		l, err = open(d, options)
		require.NoError(t, err)
		report := l.Report()
		require.True(t, report.Clean)
		require.Empty(t, report.Damage)
		require.NoError(t, l.Close())
	}
}
