package service

import (
	"context"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// receive describes the files that it receives.
func receive(_ context.Context, in uploadInput) (uploaded, error) {
	content, err := in.File.Bytes()
	return uploaded{
		Name: in.File.Name,
		Type: in.File.Type,
		Size: int64(len(content)),
		Text: strings.ToValidUTF8(string(content), "\uFFFD"),
	}, err
}

func hello() *value.File { return value.NewFile("hello.txt", "text/plain", []byte("hello file")) }

func raw() *value.File {
	return value.NewFile(`r "q" é.bin`, "application/octet-stream", []byte("raw"))
}

func (r *room) upload(ctx context.Context, _ *durableobject.Websocket, in uploadInput) (uploaded, error) {
	return receive(ctx, in)
}

func (r *room) download(context.Context, *durableobject.Websocket, rpc.Void) (downloaded, error) {
	return downloaded{File: hello(), When: time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)}, nil
}

func (r *room) rawFile(context.Context, *durableobject.Websocket, rpc.Void) (*value.File, error) {
	return raw(), nil
}
