package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// The contracts of the recorded server that need no files and no streams. Those
// with files are in files_fixture_test.go.
type (
	messageInput struct {
		Message string `json:"message" validate:"required"`
	}
	failInput struct {
		Kind string `json:"kind"`
	}
	teapotData struct {
		Kind string `json:"kind"`
	}
	mailOutput struct {
		Mail string `json:"mail" validate:"email"`
	}
)

var (
	errTeapot = rpc.DefineError[teapotData]("TEAPOT", 418, "I am a teapot")

	echo        = rpc.Define[any, any]("echo")
	ping        = rpc.DefineIn[rpc.Void, string](rpc.Group("nested"), "ping")
	sendMessage = rpc.Define[messageInput, rpc.Void]("sendMessage")
	readable    = rpc.Define[any, map[string]any]("readable", rpc.WithMethod(http.MethodGet))
	fail        = rpc.Define[failInput, any]("fail", errTeapot)
	badOutput   = rpc.Define[rpc.Void, mailOutput]("badOutput")
	lastEventID = rpc.Define[rpc.Void, any]("lastEventId")
)

func fixtureRouter() *rpc.Router {
	return rpc.NewRouter(
		upload.Handler(describe),
		download.Handler(func(context.Context, rpc.Void) (downloadOutput, error) { return downloadOutput{hello()}, nil }),
		rawFile.Handler(func(context.Context, rpc.Void) (*value.File, error) { return raw(), nil }),
		echo.Handler(func(_ context.Context, in any) (any, error) { return in, nil }),
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
		sendMessage.Handler(func(context.Context, messageInput) (rpc.Void, error) { return rpc.Void{}, nil }),
		readable.Handler(func(_ context.Context, in any) (map[string]any, error) { return map[string]any{"got": in}, nil }),
		fail.Handler(func(_ context.Context, in failInput) (any, error) { return nil, failure(in.Kind) }),
		badOutput.Handler(func(context.Context, rpc.Void) (mailOutput, error) { return mailOutput{Mail: "nobody"}, nil }),
		lastEventID.Handler(func(context.Context, rpc.Void) (any, error) { return nil, nil },
			func(_ context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) { return call.LastEventID, nil }),
	)
}

func failure(kind string) error {
	switch kind {
	case "defined":
		return errTeapot.New(teapotData{Kind: "green"})
	case "orpc":
		return &rpc.Error{Code: rpc.CodeConflict, Message: "already there", Data: conflictData()}
	case "custom":
		return &rpc.Error{Code: "MY_OWN_CODE", Status: 460, Message: "own", Data: []int{1, 2}}
	case "unknown-code":
		return &rpc.Error{Code: "NO_STATUS_GIVEN"}
	}
	return errors.New("the secret plan")
}

func conflictData() any {
	return struct {
		ID *big.Int  `json:"id"`
		At time.Time `json:"at"`
	}{big.NewInt(7), time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)}
}

// serve starts a server for the test and returns its address with the prefix /rpc.
func serve(t *testing.T, r *rpc.Router, o *rpc.HandlerOptions) string {
	t.Helper()
	var own rpc.HandlerOptions
	if o != nil {
		own = *o
	}
	own.Prefix = "/rpc"
	server := httptest.NewServer(rpc.NewHandler(r, &own))
	t.Cleanup(server.Close)
	return server.URL + "/rpc"
}

// post sends an encoded value to a handler, without a network.
func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	return request(h, http.MethodPost, path, body, http.Header{"Content-Type": {"application/json"}})
}

func request(h http.Handler, method, path, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wireError is an error as it is answered.
type wireError struct {
	Defined bool            `json:"defined"`
	Code    rpc.Code        `json:"code"`
	Status  int             `json:"status"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func errorIn(t *testing.T, body []byte) wireError {
	t.Helper()
	var envelope struct {
		JSON wireError `json:"json"`
	}
	require.NoError(t, json.Unmarshal(body, &envelope), "%s", body)
	return envelope.JSON
}

// vectors reads recorded data.
func vectors(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// roundTrip is a network that answers each request with a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (f roundTrip) client() *http.Client { return &http.Client{Transport: f} }

// reply makes an answer for a roundTrip.
func reply(status int, contentType, body string) *http.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return &http.Response{
		StatusCode: status, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}
