package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The demo checks itself: it fails if anybody sees anything else than the script says.
func TestDemo(t *testing.T) {
	t.Parallel()
	url, stop, err := serve("127.0.0.1:0", "")
	require.NoError(t, err)
	defer stop()
	var out bytes.Buffer
	require.NoError(t, playDemo(t.Context(), url, &out), "%s", &out)
	require.Contains(t, out.String(), "bob   saw \"ann: three\"")
}

// Who was away while the server was restarted gets what was said before and after.
func TestRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url, stop, err := serve("127.0.0.1:0", dir)
	require.NoError(t, err)
	d := &demo{out: t.Output(), server: url, cast: map[string]*actor{}}
	defer d.close()
	require.NoError(t, d.enter(ctx, "ann"))
	require.NoError(t, d.enter(ctx, "bob"))
	ann, bob := d.cast["ann"], d.cast["bob"]
	say := func(text string) {
		t.Helper()
		_, err := Say.Call(ctx, ann.room, Text{text})
		require.NoError(t, err)
	}

	say("one")
	require.NoError(t, bob.expect(ctx, d.out, []string{"ann: one"}))
	bob.cutAndHold()
	say("two")
	stop()

	_, stop, err = serve(strings.TrimPrefix(url, "http://"), dir)
	require.NoError(t, err)
	defer stop()
	say("three")
	bob.letGo()
	require.NoError(t, bob.expect(ctx, d.out, []string{"ann: two", "ann: three"}))
}
