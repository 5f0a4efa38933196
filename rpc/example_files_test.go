package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func Example_files() {
	type photo struct {
		Title string      `json:"title"`
		Image *value.File `json:"image" validate:"required"`
	}
	addPhoto := rpc.Define[photo, string]("photos.add")

	router := rpc.NewRouter(addPhoto.Handler(func(_ context.Context, in photo) (string, error) {
		content, err := in.Image.Open()
		if err != nil {
			return "", err
		}
		defer content.Close()
		size, err := io.Copy(io.Discard, content) // where it is to be kept
		return fmt.Sprintf("%s: %s, %d bytes", in.Title, in.Image.Type, size), err
	}))
	server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{MaxBodyBytes: 32 << 20}))
	defer server.Close()

	link := rpc.NewLink(server.URL, nil)
	said, err := addPhoto.Call(context.Background(), link, photo{
		Title: "Sunrise",
		Image: value.NewFile("sunrise.png", "image/png", []byte("\x89PNG")),
	})
	fmt.Println(said, err)
	// Output: Sunrise: image/png, 4 bytes <nil>
}

// A file on disk is opened when it is sent, and never read to memory as a whole.
func Example_filesFromDisk() {
	fromDisk := func(path, typ string) (*value.File, error) {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		return value.NewFileFunc(info.Name(), typ, info.Size(), func() (io.ReadCloser, error) { return os.Open(path) }), nil
	}
	f, err := fromDisk("testdata/sse.json", "application/json")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Name, f.Type)
	// Output: sse.json application/json
}
