package durableobject_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type attachedFile struct {
	File *value.File `json:"file" validate:"required"`
	When time.Time   `json:"when"`
}

var swap = rpc.DefineIn[attachedFile, attachedFile](toolbox, "swap")

// swap returns the file's content in upper case, and the time a day later. For a file named "no"
// it returns an error that contains its input.
func (r *room) swap(_ context.Context, _ *durableobject.Websocket, in attachedFile) (attachedFile, error) {
	if in.File.Name == "no" {
		return attachedFile{}, &rpc.Error{Code: rpc.CodeConflict, Data: in}
	}
	content, err := in.File.Bytes()
	upper := value.NewFile(in.File.Name, in.File.Type, []byte(strings.ToUpper(string(content))))
	return attachedFile{upper, in.When.Add(24 * time.Hour)}, err
}

// Files can be part of the inputs, outputs and errors of methods, also of methods in a group.
func TestFiles(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		durableobject.Handle(f.rooms, swap, (*room).swap)
		tokens := client.StaticToken(sign(t, "room"))
		it, err := client.Dial[message](t.Context(), tokens, &client.Options{URL: "ws://rooms/", HTTPClient: f.http})
		require.NoError(t, err)
		sent := attachedFile{value.NewFile(`ž "q".txt`, "text/plain", []byte("content")), time.UnixMilli(7).UTC()}
		got, err := swap.Call(t.Context(), it, sent)
		require.NoError(t, err)
		requireFile(t, sent.File.Name, "CONTENT", got.File)
		require.Equal(t, sent.When.Add(24*time.Hour), got.When)

		sent.File = value.NewFile("no", "text/plain", nil)
		_, err = swap.Call(t.Context(), it, sent)
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
		got, err = rpc.ErrorData[attachedFile](err)
		require.NoError(t, err)
		requireFile(t, "no", "", got.File)

		_, err = swap.Call(t.Context(), it, attachedFile{})
		require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
		require.NoError(t, it.Close())
	})
}

func requireFile(t *testing.T, name, content string, got *value.File) {
	t.Helper()
	have, err := got.Bytes()
	require.NoError(t, err)
	require.Equal(t, name, got.Name)
	require.Equal(t, "text/plain", got.Type)
	require.Equal(t, content, string(have))
}
