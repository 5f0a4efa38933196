package service

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

func TestFiles(t *testing.T) {
	h := outside(t)
	socket, err := websocket.Dial(t.Context(), h.URL()+"/rpc-ws", &websocket.LinkOptions{HTTPClient: h.Client()})
	require.NoError(t, err)
	for name, caller := range map[string]rpc.Caller{"HTTP": h.link(), "socket": socket} {
		got, err := upload.Call(t.Context(), caller, uploadInput{value.NewFile("r é.txt", "text/plain", []byte("Grüße\xff"))})
		require.NoError(t, err, name)
		require.Equal(t, uploaded{Name: "r é.txt", Type: "text/plain", Size: 8, Text: "Grüße\uFFFD"}, got)

		_, err = upload.Call(t.Context(), caller, uploadInput{})
		require.EqualError(t, err, "BAD_REQUEST: Input validation failed: file: is required", name)

		down, err := download.Call(t.Context(), caller, rpc.Void{})
		require.NoError(t, err, name)
		requireFile(t, hello(), down.File)
		require.Zero(t, down.When)

		alone, err := rawFile.Call(t.Context(), caller, rpc.Void{})
		require.NoError(t, err, name)
		requireFile(t, raw(), alone)

		large, err := upload.Call(t.Context(), caller, uploadInput{value.NewFile("large", "a/b", []byte(strings.Repeat("x", 4<<20-1000)))})
		require.NoError(t, err, name)
		require.Equal(t, int64(4<<20-1000), large.Size)
	}
	require.NoError(t, socket.Close())
	_, err = upload.Call(t.Context(), h.link(), uploadInput{value.NewFile("large", "a/b", make([]byte, 4<<20))})
	require.Equal(t, rpc.CodePayloadTooLarge, rpc.CodeOf(err))
}

func requireFile(t *testing.T, want, got *value.File) {
	t.Helper()
	wantContent, err := want.Bytes()
	require.NoError(t, err)
	content, err := got.Bytes()
	require.NoError(t, err)
	require.Equal(t, []string{want.Name, want.Type, string(wantContent)}, []string{got.Name, got.Type, string(content)})
}
