package node_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The procedures of server.mjs with files.
var (
	upload   = rpc.Define[withFile, uploaded]("upload")
	download = rpc.Define[rpc.Void, withFile]("download")
	echoed   = rpc.Define[any, any]("echo")
)

type withFile struct {
	File *value.File `json:"file"`
}

type uploaded struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int    `json:"size"`
	Text string `json:"text"`
}

// testFiles sends and receives files over HTTP or over a WebSocket.
func testFiles(t *testing.T, c rpc.Caller) {
	t.Helper()
	ctx := t.Context()
	t.Run("upload", func(t *testing.T) {
		for name, content := range map[string]string{
			"a.txt": "Grüße\n", "empty.txt": "", "ž \"q\"\r\n; %20.txt": "x", "large.txt": strings.Repeat("x", 2<<20),
		} {
			got, err := upload.Call(ctx, c, withFile{value.NewFile(name, "text/plain", []byte(content))})
			require.NoError(t, err)
			require.Equal(t, uploaded{name, "text/plain", len(content), content}, got)
		}
	})
	t.Run("download", func(t *testing.T) {
		got, err := download.Call(ctx, c, rpc.Void{})
		require.NoError(t, err)
		requireFile(t, value.NewFile("hello.txt", "text/plain", []byte("hello file")), got.File)
	})
	t.Run("files back and forth", func(t *testing.T) {
		sent := value.NewFile("", "", []byte("\xff\x00\r\n--\xfe"))
		got, err := echoed.Call(ctx, c, map[string]any{"list": []any{sent, withFile{sent}}, "set": value.Set{7.0}})
		require.NoError(t, err)
		members := got.(map[string]any)
		list := members["list"].([]any)
		blob := value.NewFile("blob", "application/octet-stream", []byte("\xff\x00\r\n--\xfe"))
		requireFile(t, blob, list[0].(*value.File))
		requireFile(t, blob, list[1].(map[string]any)["file"].(*value.File))
		require.Equal(t, value.Set{7.0}, members["set"])
	})
}

func requireFile(t *testing.T, want, got *value.File) {
	t.Helper()
	wantContent, err := want.Bytes()
	require.NoError(t, err)
	content, err := got.Bytes()
	require.NoError(t, err)
	require.Equal(t, []string{want.Name, want.Type, string(wantContent)}, []string{got.Name, got.Type, string(content)})
}
