package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestList(t *testing.T) {
	t.Parallel()
	var l List
	l.If(false, "never")
	Negative(&l, "Size", 0)
	Nil(&l, "a function", []func(){func() {}})
	Nil(&l, "an interface", []fmt.Stringer{time.Second})
	require.NoError(t, l.Err())
	require.NotPanics(t, func() { l.Panic("package: New") })

	l.If(true, "%q is wrong", "x")
	Negative(&l, "Size", -1)
	Negative(&l, "Timeout", -time.Second)
	Nil(&l, "a function", []func(){nil})
	Nil(&l, "an interface", []fmt.Stringer{time.Second, nil})
	const want = `"x" is wrong; Size is negative; Timeout is negative; a function is nil; an interface is nil`
	require.EqualError(t, l.Err(), want)
	require.PanicsWithValue(t, "package: New: "+want, func() { l.Panic("package: New") })
}
