package filelog

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// slowDisk takes its time to remove a file: it says when it begins and goes on when
// it is told to.
type slowDisk struct {
	*disk
	begun, goOn chan struct{}
}

func (d slowDisk) Remove(name string) error {
	d.begun <- struct{}{}
	<-d.goOn
	return d.disk.Remove(name)
}

// TestAppendWhileRemoving appends while the file of a dropped segment is being removed.
func TestAppendWhileRemoving(t *testing.T) {
	t.Parallel()
	d := slowDisk{newDisk(rand.New(rand.NewPCG(1, 1))), make(chan struct{}), make(chan struct{})}
	options, err := (*Options)(nil).withDefaults()
	require.NoError(t, err)
	l, err := open(d, options)
	require.NoError(t, err)
	add := func() { require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{}, nil)) }

	add()
	trimmed := make(chan error, 1)
	go func() { trimmed <- l.Trim(t.Context(), recordTime(math.MaxInt64)) }()
	<-d.begun
	add()
	require.Empty(t, trimmed, "the trim returned before the file was gone")
	d.goOn <- struct{}{}
	require.NoError(t, <-trimmed)
	require.NoError(t, l.Close())
}
