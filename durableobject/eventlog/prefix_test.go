package eventlog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestPrefixSharesALog(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	chat, game := eventlog.Prefix(log, "chat/"), eventlog.Prefix(log, "game/")
	first := add(t, chat, "room", "of chat")
	second := add(t, game, "room", "of game")
	require.Equal(t, uint64(1), first.Seq)
	require.Equal(t, uint64(2), second.Seq)
	require.Zero(t, second.Prev)

	for view, want := range map[eventlog.Log]string{chat: "of chat", game: "of game"} {
		data, truncated := after(t, view, "room", eventlog.Position{})
		require.False(t, truncated)
		require.Equal(t, []string{want}, data)
	}
	data, _ := after(t, log, "chat/room", eventlog.Position{})
	require.Equal(t, []string{"of chat"}, data)
	data, truncated := after(t, chat, "room", second.Position())
	require.False(t, truncated, "a position of one view is known in the other")
	require.Empty(t, data)
}

func TestPrefixClosesOnlyItself(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	chat, game := eventlog.Prefix(log, "chat/"), eventlog.Prefix(log, "game/")
	add(t, chat, "room", "x")
	require.NoError(t, chat.Close())
	_, err := chat.Head(t.Context(), "room")
	require.ErrorIs(t, err, eventlog.ErrClosed)
	add(t, game, "room", "x")
	add(t, log, "chat/room", "x")

	require.NoError(t, log.Close())
	_, err = game.Head(t.Context(), "room")
	require.ErrorIs(t, err, eventlog.ErrClosed)
}

func TestPrefixTrimsNothing(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	chat, game := eventlog.Prefix(log, "chat/"), eventlog.Prefix(log, "game/")
	add(t, game, "room", "x")
	last := add(t, chat, "room", "x")
	require.NoError(t, chat.Trim(t.Context(), last.Time.Add(time.Hour)))
	for _, view := range []eventlog.Log{chat, game} {
		data, truncated := after(t, view, "room", eventlog.Position{})
		require.False(t, truncated)
		require.Len(t, data, 1)
	}
}

func TestPrefixOfAPrefix(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	view := eventlog.Prefix(eventlog.Prefix(log, "a/"), "b/")
	add(t, view, "room", "x")
	data, _ := after(t, log, "a/b/room", eventlog.Position{})
	require.Equal(t, []string{"x"}, data)
}
