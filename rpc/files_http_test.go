//go:build !js

package rpc_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const boundX = "multipart/form-data; boundary=x"

// part is a part of a form with the boundary x.
func part(name, content string) string {
	return "--x\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\n" + content + "\r\n"
}

func TestMalformedForms(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	file := part(`"0"; filename="a"`, "c")
	whole := part(`"data"`, `{"json":{},"maps":[[]]}`) + file + "--x--"
	tests := map[string]struct{ header, body string }{
		"no parts":              {boundX, "--x--"},
		"no data":               {boundX, file + "--x--"},
		"data is no JSON":       {boundX, part(`"data"`, "{") + "--x--"},
		"data is null":          {boundX, part(`"data"`, "null") + "--x--"},
		"a file is missing":     {boundX, part(`"data"`, `{"json":{},"maps":[[]]}`) + "--x--"},
		"a file is a text":      {boundX, part(`"data"`, `{"json":{},"maps":[[]]}`) + part(`"0"`, "c") + "--x--"},
		"maps leads nowhere":    {boundX, part(`"data"`, `{"json":{},"maps":[["a"]]}`) + file + "--x--"},
		"maps names __proto__":  {boundX, part(`"data"`, `{"json":{},"maps":[["__proto__","a"]]}`) + file + "--x--"},
		"meta does not fit":     {boundX, part(`"data"`, `{"json":{},"meta":[[1]]}`) + "--x--"},
		"cut off":               {boundX, strings.TrimSuffix(whole, "--x--")},
		"cut off in a file":     {boundX, whole[:len(whole)-8]},
		"another boundary":      {"multipart/form-data; boundary=y", whole},
		"no boundary":           {"multipart/form-data", whole},
		"unreadable media type": {"multipart/form-data; boundary", whole},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := request(h, http.MethodPost, "/echo", test.body, http.Header{"Content-Type": {test.header}})
			require.Equal(t, 400, w.Code, "%s", w.Body)
			require.Equal(t, rpc.CodeBadRequest, errorIn(t, w.Body.Bytes()).Code)
			require.Contains(t, errorIn(t, w.Body.Bytes()).Message, "Malformed request")
		})
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		w := request(h, method, "/echo", whole, http.Header{"Content-Type": {"Multipart/Form-Data; Boundary=x"}})
		require.Equal(t, 200, w.Code, "%s", w.Body)
		require.Contains(t, w.Body.String(), "\r\n\r\nc\r\n")
	}
}

func TestFormsAreLimited(t *testing.T) {
	t.Parallel()
	data := part(`"data"`, `{"json":1}`)
	fits := data + part(`"0"; filename="a"`, strings.Repeat("x", 1000)) + "--x--"
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: int64(len(fits))})
	many := rpc.NewHandler(fixtureRouter(), nil)
	tests := map[string]struct {
		handler *rpc.Handler
		body    string
		status  int
	}{
		"fits":           {h, fits, 200},
		"too large":      {h, "\r\n" + fits, 413},
		"far too large":  {h, strings.Repeat(fits, 100), 413},
		"many parts":     {many, data + strings.Repeat(part(`"p"`, ""), 900) + "--x--", 200},
		"too many parts": {many, data + strings.Repeat(part(`"p"`, ""), 1100) + "--x--", 413},
		"a long name":    {many, data + part(`"0"; filename="`+strings.Repeat("n", 20<<10)+`"`, "") + "--x--", 413},
	}
	for name, test := range tests {
		for _, chunked := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", chunked"}[chunked], func(t *testing.T) {
				t.Parallel()
				r := httptest.NewRequest(http.MethodPost, "/echo", strings.NewReader(test.body))
				r.Header.Set("Content-Type", boundX)
				if chunked {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				test.handler.ServeHTTP(w, r)
				require.Equal(t, test.status, w.Code, "%s", w.Body)
				if test.status != 200 {
					require.Equal(t, rpc.CodePayloadTooLarge, errorIn(t, w.Body.Bytes()).Code)
				}
			})
		}
	}
}

func TestFormsInAnswersAreLimited(t *testing.T) {
	t.Parallel()
	address := serve(t, fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 1 << 20})
	link := rpc.NewLink(address, &rpc.LinkOptions{MaxBodyBytes: 100 << 10})
	for _, size := range []int{90 << 10, 110 << 10} {
		out, err := echo.Call(t.Context(), link, lazyFile("a", strings.Repeat("x", size)))
		if size < 100<<10 {
			require.NoError(t, err)
			require.Equal(t, int64(size), out.(*value.File).Size())
			continue
		}
		var tooLarge *http.MaxBytesError
		require.ErrorAs(t, err, &tooLarge)
		require.Equal(t, int64(100<<10), tooLarge.Limit)
	}
}

// Large files of an input are stored on disk, and removed when the call is answered,
// however it ended.
func TestTemporaryFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	content := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB
	onDisk := func() int {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		return len(entries)
	}
	tests := map[string]struct {
		handle func(in *value.File) (*value.File, error)
		code   rpc.Code
	}{
		"answered with the file": {func(in *value.File) (*value.File, error) { return in, nil }, ""},
		"answered without":       {func(*value.File) (*value.File, error) { return nil, nil }, ""},
		"failed":                 {func(*value.File) (*value.File, error) { return nil, errDisk }, rpc.CodeInternalServerError},
		"panicked":               {func(*value.File) (*value.File, error) { panic("p") }, rpc.CodeInternalServerError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			take := rpc.Define[*value.File, *value.File]("take")
			router := rpc.NewRouter(take.Handler(func(_ context.Context, in *value.File) (*value.File, error) {
				require.Equal(t, 1, onDisk())
				for range 2 {
					require.Equal(t, content, show(t, in).content)
				}
				return test.handle(in)
			}))
			server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{MaxBodyBytes: 4 << 20}))
			out, err := take.Call(t.Context(), rpc.NewLink(server.URL, nil), lazyFile("a", content))
			require.Equal(t, test.code, rpc.CodeOf(err))
			if out != nil {
				require.Equal(t, content, show(t, out).content)
			}
			server.Close() // waits for what follows the answer
			require.Zero(t, onDisk())
		})
	}
	t.Run("refused", func(t *testing.T) {
		h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 4 << 20})
		body := part(`"0"; filename="a"`, content) + part(`"data"`, "{") + "--x--"
		w := request(h, http.MethodPost, "/echo", body, http.Header{"Content-Type": {boundX}})
		require.Equal(t, 400, w.Code)
		require.Zero(t, onDisk())
	})
	t.Run("no disk", func(t *testing.T) {
		t.Setenv("TMPDIR", dir+"/missing")
		var log bytes.Buffer
		h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 4 << 20, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		body := part(`"data"`, `{}`) + part(`"0"; filename="a"`, content) + "--x--"
		w := request(h, http.MethodPost, "/echo", body, http.Header{"Content-Type": {boundX}})
		require.Equal(t, 500, w.Code)
		require.NotContains(t, w.Body.String(), dir)
		require.Contains(t, log.String(), "call failed")
	})
}

// The temporary files exist as long as a stream of events is open.
func TestTemporaryFilesOfStreams(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	content := strings.Repeat("0123456789abcdef", 3<<16)
	read := rpc.DefineEvents[*value.File, bool, rpc.Void]("read")
	router := rpc.NewRouter(read.Handler(func(_ context.Context, in *value.File, w *rpc.EventWriter[bool]) (rpc.Void, error) {
		for range 2 {
			got, err := in.Bytes()
			if err != nil {
				return rpc.Void{}, err
			}
			if err := w.Send(string(got) == content); err != nil {
				return rpc.Void{}, err
			}
		}
		return rpc.Void{}, nil
	}))
	server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{MaxBodyBytes: 4 << 20}))
	events, err := read.Call(t.Context(), rpc.NewLink(server.URL, nil), lazyFile("a", content))
	require.NoError(t, err)
	seen := 0
	for same, err := range events.All() {
		require.NoError(t, err)
		require.True(t, same)
		seen++
	}
	require.Equal(t, 2, seen)
	server.Close()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// paced is a large file whose second half can be read only when the first has arrived.
func paced(size int64) (file *value.File, arrived chan struct{}) {
	arrived = make(chan struct{})
	half := strings.Repeat("x", 1<<20)
	return value.NewFileFunc("paced", "a/b", size, func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(half), waiting{arrived}, strings.NewReader(half))), nil
	}), arrived
}

// waiting is empty, but returns EOF only when the channel is closed.
type waiting struct{ until <-chan struct{} }

func (w waiting) Read([]byte) (int, error) {
	<-w.until
	return 0, io.EOF
}

// readHalf reads so many bytes that the file must have begun, and the rest when the file
// continues.
func readHalf(body io.Reader, arrived chan struct{}) ([]byte, error) {
	var read bytes.Buffer
	if _, err := io.CopyN(&read, body, 512<<10); err != nil {
		return nil, err
	}
	close(arrived)
	_, err := io.Copy(&read, body)
	return read.Bytes(), err
}

// A file is never in memory as a whole while it is sent.
func TestFilesAreStreamed(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"of known size": 2 << 20, "of unknown size": -1} {
		t.Run("answer "+name, func(t *testing.T) {
			t.Parallel()
			file, arrived := paced(size)
			give := rpc.Define[rpc.Void, *value.File]("give")
			router := rpc.NewRouter(give.Handler(func(context.Context, rpc.Void) (*value.File, error) { return file, nil }))
			r, err := http.Post(serve(t, router, nil)+"/give", "application/json", nil)
			require.NoError(t, err)
			defer func() { _ = r.Body.Close() }()
			body, err := readHalf(r.Body, arrived)
			require.NoError(t, err)
			requireStreamed(t, size, r.Header, r.ContentLength, body)
		})
		t.Run("request "+name, func(t *testing.T) {
			t.Parallel()
			file, arrived := paced(size)
			var request *http.Request
			var body []byte
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var err error
				request = r
				if body, err = readHalf(r.Body, arrived); err != nil {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"json":"got it"}`))
			}))
			t.Cleanup(server.Close)
			out, err := echo.Call(t.Context(), rpc.NewLink(server.URL, nil), file)
			require.NoError(t, err)
			require.Equal(t, "got it", out)
			requireStreamed(t, size, request.Header, request.ContentLength, body)
		})
	}
}

// requireStreamed checks the form of a file. The length of the form is known if that of the
// file is.
func requireStreamed(t *testing.T, fileSize int64, header http.Header, length int64, body []byte) {
	t.Helper()
	if fileSize >= 0 {
		require.Equal(t, int64(len(body)), length)
	} else {
		require.Equal(t, int64(-1), length)
	}
	f, err := form.Read(bytes.NewReader(body), header.Get("Content-Type"), form.Options{MaxMemory: 4 << 20})
	require.NoError(t, err)
	require.Len(t, f.Files, 1)
	require.Equal(t, int64(2<<20), f.Files[0].Size())
}

// A file that fails after the answer has begun cuts the answer off, so that the client
// does not take it for a complete one.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"known size": 1<<20 + 1, "unknown size": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			give := rpc.Define[rpc.Void, *value.File]("give")
			file := value.NewFileFunc("a", "a/b", size, broken(1<<20).Open)
			logged := make(chan string, 1)
			router := rpc.NewRouter(give.Handler(func(context.Context, rpc.Void) (*value.File, error) { return file, nil }))
			address := serve(t, router, &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(lines(logged), nil))})
			_, err := give.Call(t.Context(), rpc.NewLink(address, nil), rpc.Void{})
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			var sent *rpc.Error
			require.NotErrorAs(t, err, &sent)
			require.Contains(t, <-logged, errDisk.Error())
		})
	}
}

// lines is a writer that sends its texts to a channel.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// If an answer has files, the headers that a handler sets for the body are ignored.
func TestHandlersOfFilesOwnNoHeadersOfTheBody(t *testing.T) {
	t.Parallel()
	give := rpc.Define[rpc.Void, *value.File]("give")
	router := rpc.NewRouter(give.Handler(func(ctx context.Context, _ rpc.Void) (*value.File, error) {
		call, _ := rpc.CallOf(ctx)
		call.ResponseHeader.Set("Content-Type", "text/plain")
		call.ResponseHeader.Set("Content-Disposition", "attachment")
		call.ResponseHeader.Set("Content-Length", "1")
		call.ResponseHeader.Set("X-Own", "1")
		return hello(), nil
	}))
	var header http.Header
	out, err := give.Call(t.Context(), rpc.NewLink(serve(t, router, nil), nil), rpc.Void{}, rpc.WithResponseHeader(&header))
	require.NoError(t, err)
	require.Equal(t, show(t, hello()), show(t, out))
	require.Equal(t, "1", header.Get("X-Own"))
	require.Empty(t, header.Get("Content-Disposition"))
}

// The address of a GET request has no room for files.
func TestFilesAreNotSentWithGET(t *testing.T) {
	t.Parallel()
	link := rpc.NewLink(serve(t, fixtureRouter(), nil), nil)
	out, err := readable.Call(t.Context(), link, hello())
	require.NoError(t, err)
	require.Equal(t, show(t, hello()), show(t, out["got"].(*value.File)))
}

// If a transport does not read all of a request, nothing stays running: it would keep the
// bubble from ending.
func TestRequestsThatAreNotRead(t *testing.T) {
	t.Parallel()
	file := value.NewFile("a", "a/b", make([]byte, 1<<20))
	for name, size := range map[string]int64{"none of it": 0, "a part": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				network := roundTrip(func(r *http.Request) (*http.Response, error) {
					_, err := io.CopyN(io.Discard, r.Body, size)
					require.NoError(t, err)
					require.NoError(t, r.Body.Close())
					return reply(413, "text/plain", "too large"), nil
				})
				_, err := echo.Call(t.Context(), rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()}), file)
				require.Equal(t, rpc.CodePayloadTooLarge, rpc.CodeOf(err))
			})
		})
	}
}

// An error whose form cannot be read becomes an error without one.
func TestErrorsWithMalformedForms(t *testing.T) {
	t.Parallel()
	network := roundTrip(func(*http.Request) (*http.Response, error) { return reply(502, boundX, "--x--"), nil })
	_, err := echo.Call(t.Context(), rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()}), nil)
	require.Equal(t, rpc.CodeBadGateway, rpc.CodeOf(err))
	data, err := rpc.ErrorData[rpc.ErrorResponse](err)
	require.NoError(t, err)
	require.Equal(t, "--x--", data.Body)
}
