//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// transports returns a caller of the router over each transport.
func transports(t *testing.T, r *rpc.Router) map[string]rpc.Caller {
	t.Helper()
	server := httptest.NewServer(rpc.NewHandler(r, nil))
	t.Cleanup(server.Close)
	client := hostRouter(t, r, nil)
	return map[string]rpc.Caller{
		"HTTP":       rpc.NewLink(server.URL, nil),
		"socket":     dial(t, client, websocket.LinkOptions{}),
		"in process": r,
	}
}

// shown is the part of a file that is compared.
type shown struct{ name, typ, content string }

func show(t *testing.T, f *value.File) shown {
	t.Helper()
	content, err := f.Bytes()
	require.NoError(t, err)
	return shown{f.Name, f.Type, string(content)}
}

// PE-067, PE-068, SE-006: a file is the same when it comes back.
func TestFilesComeBack(t *testing.T) {
	t.Parallel()
	odd := "r \"q\" é ž 😀; a=b\\ %22 ../.."
	tests := map[string]struct {
		sent *value.File
		want shown
	}{
		"file":            {hello(), shown{"hello.txt", "text/plain", "hello file"}},
		"empty":           {value.NewFile("empty.txt", "text/plain", nil), shown{"empty.txt", "text/plain", ""}},
		"blob":            {value.NewFile("", "", []byte("b")), shown{"blob", "application/octet-stream", "b"}},
		"empty blob":      {value.NewFile("", "", nil), shown{"blob", "application/octet-stream", ""}},
		"parameters":      {value.NewFile("a", "text/plain;charset=utf-8", []byte("é")), shown{"a", "text/plain;charset=utf-8", "é"}},
		"odd name":        {value.NewFile(odd, "a/b", []byte("x")), shown{strings.ReplaceAll(odd, "%22", `"`), "a/b", "x"}},
		"lines in a name": {value.NewFile("a\r\nb: c\n", "a/b", []byte("x")), shown{"a\r\nb: c\n", "a/b", "x"}},
		"any bytes":       {value.NewFile("a", "a/b", []byte("\xff\x00\r\n--x--\r\n\xff")), shown{"a", "a/b", "\xff\x00\r\n--x--\r\n\xff"}},
		"large":           {value.NewFile("a", "a/b", []byte(strings.Repeat("x", 900<<10))), shown{"a", "a/b", strings.Repeat("x", 900<<10)}},
		"opened":          {lazyFile("a", "content"), shown{"a", "a/b", "content"}},
		"of unknown size": {value.NewFileFunc("a", "a/b", -1, lazyFile("a", "content").Open), shown{"a", "a/b", "content"}},
	}
	mirror := rpc.Define[*value.File, *value.File]("mirror")
	router := rpc.NewRouter(mirror.Handler(func(_ context.Context, in *value.File) (*value.File, error) { return in, nil }))
	for transport, caller := range transports(t, router) {
		if caller == rpc.Caller(router) {
			continue // returns the same file
		}
		for name, test := range tests {
			t.Run(transport+" "+name, func(t *testing.T) {
				out, err := mirror.Call(t.Context(), caller, test.sent)
				require.NoError(t, err)
				require.Equal(t, test.want, show(t, out))
				require.Equal(t, int64(len(test.want.content)), out.Size())
			})
		}
	}
}

func lazyFile(name, content string) *value.File {
	return value.NewFileFunc(name, "a/b", int64(len(content)), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	})
}

// PE-070: files may be anywhere in a value, beside the types of the serializer.
func TestFilesStandAnywhere(t *testing.T) {
	t.Parallel()
	same := hello()
	for transport, caller := range transports(t, fixtureRouter()) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			out, err := echo.Call(t.Context(), caller, map[string]any{
				"list": []any{same, value.Undefined{}, map[string]any{"deep": raw()}},
				"set":  value.Set{same},
				"big":  big.NewInt(7),
				"none": (*value.File)(nil),
			})
			require.NoError(t, err)
			members := out.(map[string]any)
			list := members["list"].([]any)
			require.Equal(t, show(t, hello()), show(t, list[0].(*value.File)))
			require.Equal(t, value.Undefined{}, list[1])
			require.Equal(t, show(t, raw()), show(t, list[2].(map[string]any)["deep"].(*value.File)))
			require.Equal(t, show(t, hello()), show(t, members["set"].(value.Set)[0].(*value.File)))
			require.Equal(t, big.NewInt(7), members["big"])
			require.Nil(t, members["none"])
		})
	}
}

func TestFilesOfTypedProcedures(t *testing.T) {
	t.Parallel()
	for transport, caller := range transports(t, fixtureRouter()) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			said, err := upload.Call(t.Context(), caller, uploadInput{File: value.NewFile("ž \"q\".txt", "text/plain", []byte("content"))})
			require.NoError(t, err)
			require.Equal(t, uploadOutput{"ž \"q\".txt", "text/plain", 7, "content"}, said)

			_, err = upload.Call(t.Context(), caller, uploadInput{})
			require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
			wrong, err := rpc.ErrorData[rpc.ValidationIssues](err)
			require.NoError(t, err)
			require.Equal(t, []any{"file"}, wrong.Issues[0].Path)

			got, err := download.Call(t.Context(), caller, rpc.Void{})
			require.NoError(t, err)
			require.Equal(t, show(t, hello()), show(t, got.File))

			alone, err := rawFile.Call(t.Context(), caller, rpc.Void{})
			require.NoError(t, err)
			require.Equal(t, show(t, raw()), show(t, alone))

			_, err = ping.Call(t.Context(), caller, rpc.Void{})
			require.NoError(t, err, "the caller still works")
		})
	}
}

func TestFilesInErrors(t *testing.T) {
	t.Parallel()
	refuse := rpc.Define[rpc.Void, rpc.Void]("refuse")
	router := rpc.NewRouter(refuse.Handler(func(context.Context, rpc.Void) (rpc.Void, error) {
		return rpc.Void{}, &rpc.Error{Code: rpc.CodeConflict, Message: "see the report", Data: downloadOutput{hello()}}
	}))
	for transport, caller := range transports(t, router) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			_, err := refuse.Call(t.Context(), caller, rpc.Void{})
			require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
			require.ErrorContains(t, err, "see the report")
			data, err := rpc.ErrorData[downloadOutput](err)
			require.NoError(t, err)
			require.Equal(t, show(t, hello()), show(t, data.File))
		})
	}
}

var errDisk = errors.New("a secret about the disk")

// broken is a file that cannot be read after its first bytes.
func broken(size int) *value.File {
	return value.NewFileFunc("broken", "a/b", int64(size)+1, func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", size)), errorReader{})), nil
	})
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errDisk }

// unfit are files that cannot be sent.
func unfit() map[string]*value.File {
	return map[string]*value.File{
		"cannot be opened": value.NewFileFunc("f", "a/b", 1, func() (io.ReadCloser, error) { return nil, errDisk }),
		"breaks off":       broken(10),
		"panics":           value.NewFileFunc("f", "a/b", 1, func() (io.ReadCloser, error) { panic(errDisk.Error()) }),
		"too short":        value.NewFileFunc("f", "a/b", 2, lazyFile("f", "x").Open),
	}
}

// A faulty file in an answer is an internal error, and the caller gets no details of it.
func TestFilesThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	for name, file := range unfit() {
		give := rpc.Define[rpc.Void, *value.File]("give")
		router := rpc.NewRouter(give.Handler(func(context.Context, rpc.Void) (*value.File, error) { return file, nil }))
		for transport, caller := range transports(t, router) {
			if caller == rpc.Caller(router) {
				continue // nothing is read
			}
			t.Run(transport+" "+name, func(t *testing.T) {
				t.Parallel()
				_, err := give.Call(t.Context(), caller, rpc.Void{})
				require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(err))
				var sent *rpc.Error
				require.ErrorAs(t, err, &sent)
				require.Equal(t, "Internal server error", sent.Message)
				require.NotContains(t, err.Error(), "secret")
			})
		}
	}
}

// A fault of a file in an input is returned to the caller.
func TestFilesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	files := unfit()
	files["breaks off late"] = broken(1 << 20)
	server := httptest.NewServer(rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 10 << 20}))
	t.Cleanup(server.Close)
	client := hostRouter(t, fixtureRouter(), nil)
	for transport, caller := range map[string]rpc.Caller{
		"HTTP":   rpc.NewLink(server.URL, nil),
		"socket": dial(t, client, websocket.LinkOptions{}),
	} {
		for name, file := range files {
			t.Run(transport+" "+name, func(t *testing.T) {
				_, err := echo.Call(t.Context(), caller, file)
				require.Error(t, err)
				var sent *rpc.Error
				require.NotErrorAs(t, err, &sent, "no server has sent it")
				switch name {
				case "too short":
					require.ErrorContains(t, err, "1 bytes, not 2")
				case "panics":
					var p *rpc.PanicError
					require.ErrorAs(t, err, &p)
				default:
					require.ErrorIs(t, err, errDisk)
				}
			})
		}
	}
}

// A call that is tried again sends its files again.
func TestFilesAreSentAgain(t *testing.T) {
	t.Parallel()
	tries := 0
	handler := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 10 << 20})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		switch tries {
		case 1:
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	link := rpc.NewLink(server.URL, nil)
	for _, content := range []string{"small", strings.Repeat("large", 1<<20)} {
		tries = 0
		out, err := upload.Call(t.Context(), link, uploadInput{File: lazyFile("a", content)}, rpc.Retry{Max: 1, Delay: none})
		require.NoError(t, err)
		require.Equal(t, content, out.Text)
		require.Equal(t, 3, tries)
	}
}
