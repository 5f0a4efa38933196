package leak

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests count all goroutines of the package, so they are not parallel.

func TestMain(m *testing.M) { Main(m) }

func TestFind(t *testing.T) {
	before := Find("leak.wait")
	end, started := make(chan struct{}), make(chan struct{})
	for range 2 {
		go wait(started, end)
		<-started
	}
	require.Empty(t, before)
	require.Len(t, Find("leak.wait"), 2)
	require.Empty(t, Find("leak.nothing"))
	require.Len(t, Wait("leak.wait", 1, 0), 2)
	require.Empty(t, Wait("leak.wait", 2, 0))
	close(end)
	require.Empty(t, Wait("leak.wait", 0, patience))
}

func TestRun(t *testing.T) {
	end, started := make(chan struct{}), make(chan struct{})
	pass := func() int { return 0 }
	leaks := func() int {
		go wait(started, end)
		<-started
		return 0
	}
	require.Equal(t, 0, run(pass, "leak.wait", 0))
	require.Equal(t, 1, run(leaks, "leak.wait", 0), "a goroutine is left")
	require.Equal(t, 0, run(pass, "leak.nothing", 0))
	require.Equal(t, 2, run(func() int { return 2 }, "leak.wait", 0), "the status of the tests")
	close(end)
	require.Equal(t, 0, run(pass, "leak.wait", patience))
}

func TestCallerPackage(t *testing.T) {
	require.Equal(t, "github.com/go-orpc/durable-iterator/internal/leak.", asMain())
}

// asMain is called by tests like Main.
func asMain() string { return callerPackage() }

func wait(started chan<- struct{}, end <-chan struct{}) {
	started <- struct{}{}
	<-end
}
