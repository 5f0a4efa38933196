package rpc_test

import (
	"context"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The contracts of the recorded server that need files.
type (
	uploadInput struct {
		File *value.File `json:"file" validate:"required"`
		When time.Time   `json:"when"`
	}
	uploadOutput struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Size int64  `json:"size"`
		Text string `json:"text"`
	}
	downloadOutput struct {
		File *value.File `json:"file"`
	}
)

var (
	upload   = rpc.Define[uploadInput, uploadOutput]("upload")
	download = rpc.Define[rpc.Void, downloadOutput]("download")
	rawFile  = rpc.Define[rpc.Void, *value.File]("rawFile")
)

func describe(_ context.Context, in uploadInput) (uploadOutput, error) {
	content, err := in.File.Bytes()
	return uploadOutput{in.File.Name, in.File.Type, in.File.Size(), string(content)}, err
}

func hello() *value.File { return value.NewFile("hello.txt", "text/plain", []byte("hello file")) }

func raw() *value.File {
	return value.NewFile(`r "q" é.bin`, "application/octet-stream", []byte("raw"))
}
