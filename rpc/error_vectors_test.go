package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

type errorVectors struct {
	Common []struct {
		Code    rpc.Code
		Status  int
		Message string
	}
	Construct []struct {
		Name    string
		Code    rpc.Code
		Options struct {
			Status  *int
			Message string
			Data    json.RawMessage
			Defined bool
		}
		Wire  string
		Error string
	}
	ErrorStatus []struct {
		Status  int
		IsError bool
	}
	IsErrorJSON []struct {
		JSON     json.RawMessage
		Accepted bool
		Error    wireError
	}
	MalformedStatusToCode []struct {
		Status int
		Code   rpc.Code
	}
	FromAnyThrow json.RawMessage
}

func readErrorVectors(t *testing.T) errorVectors {
	t.Helper()
	var v errorVectors
	vectors(t, "errors.json", &v)
	return v
}

func TestCommonCodes(t *testing.T) {
	t.Parallel()
	for _, v := range readErrorVectors(t).Common {
		t.Run(string(v.Code), func(t *testing.T) {
			require.Equal(t, v.Status, v.Code.Status())
			require.Equal(t, v.Message, v.Code.Message())
		})
	}
}

// An interceptor runs outside of procedures, so it may declare its error as defined.
func TestErrorsAreSentAsRecorded(t *testing.T) {
	t.Parallel()
	for _, v := range readErrorVectors(t).Construct {
		t.Run(v.Name, func(t *testing.T) {
			failed := &rpc.Error{Code: v.Code, Message: v.Options.Message, Defined: v.Options.Defined}
			if v.Options.Status != nil {
				failed.Status = *v.Options.Status
			}
			if v.Options.Data != nil {
				failed.Data = v.Options.Data
			}
			h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
				func(context.Context, *rpc.Call, rpc.CallFunc) (any, error) { return nil, failed },
			}})
			w := post(h, "/echo", "{}")
			if v.Error != "" {
				require.Equal(t, internalError, w.Body.String())
				require.Equal(t, http.StatusInternalServerError, w.Code)
				return
			}
			require.Equal(t, `{"json":`+v.Wire+`}`, w.Body.String())
			require.Equal(t, statusLine(errorIn(t, w.Body.Bytes()).Status), w.Code)
		})
	}
}

// statusLine is the status of an HTTP answer that is an error with this status:
// not every one can be a final answer.
func statusLine(status int) int {
	if status < 400 || status > 599 {
		return http.StatusInternalServerError
	}
	return status
}

func TestStatusesThatHTTPDoesNotHave(t *testing.T) {
	t.Parallel()
	for _, status := range []int{-1, 101, 600, 1000} {
		h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
			func(context.Context, *rpc.Call, rpc.CallFunc) (any, error) {
				return nil, &rpc.Error{Code: "ODD", Status: status}
			},
		}})
		w := post(h, "/echo", "{}")
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.Equal(t, status, errorIn(t, w.Body.Bytes()).Status)
	}
}

const internalError = `{"json":{"defined":false,"code":"INTERNAL_SERVER_ERROR","status":500,"message":"Internal server error"}}`

func TestAnyOtherErrorIsSentAsRecorded(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	w := post(h, "/fail", `{"json":{"kind":"plain"}}`)
	var envelope struct{ JSON json.RawMessage }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &envelope))
	require.JSONEq(t, string(readErrorVectors(t).FromAnyThrow), string(envelope.JSON))
}

// Status 0 is the default of the code, which is an error's.
func TestErrorStatuses(t *testing.T) {
	t.Parallel()
	for _, v := range readErrorVectors(t).ErrorStatus {
		t.Run(fmt.Sprint(v.Status), func(t *testing.T) {
			define := func() { rpc.DefineError[any]("CODE", v.Status, "") }
			if v.IsError {
				require.NotPanics(t, define)
			} else {
				require.Panics(t, define)
			}
		})
	}
}

func TestErrorBodiesAreReadAsRecorded(t *testing.T) {
	t.Parallel()
	for _, v := range readErrorVectors(t).IsErrorJSON {
		t.Run(string(v.JSON), func(t *testing.T) {
			err := callAnswered(t, 502, `{"json":`+string(v.JSON)+`}`)
			var got *rpc.Error
			require.ErrorAs(t, err, &got)
			if !v.Accepted {
				require.Equal(t, rpc.CodeBadGateway, got.Code)
				data, err := rpc.ErrorData[rpc.ErrorResponse](err)
				require.NoError(t, err)
				require.Equal(t, 502, data.Status)
				return
			}
			require.Equal(t, v.Error.Code, got.Code)
			require.Equal(t, v.Error.Status, got.Status)
			require.Equal(t, v.Error.Message, got.Message)
			require.Equal(t, v.Error.Defined, got.Defined)
			data, err := rpc.ErrorData[json.RawMessage](err)
			require.Equal(t, v.Error.Data == nil, err != nil)
			require.Equal(t, string(v.Error.Data), string(data))
		})
	}
}

func TestBodiesThatAreAlmostErrors(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"fraction as status": `{"json":{"defined":false,"code":"A","status":500.5,"message":"m"}}`,
		"NaN as status":      `{"json":{"defined":false,"code":"A","status":null,"message":"m"},"meta":[[2,"status"]]}`,
		"huge status":        `{"json":{"defined":false,"code":"A","status":1e300,"message":"m"}}`,
		"bigint as status":   `{"json":{"defined":false,"code":"A","status":"500","message":"m"},"meta":[[0,"status"]]}`,
		"null as defined":    `{"json":{"defined":null,"code":"A","status":500,"message":"m"}}`,
		"URL as message":     `{"json":{"defined":false,"code":"A","status":500,"message":"http://m/"},"meta":[[4,"message"]]}`,
		"name in upper case": `{"json":{"defined":false,"CODE":"A","status":500,"message":"m"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rpc.ErrorData[rpc.ErrorResponse](callAnswered(t, 500, body))
			require.NoError(t, err)
		})
	}
}

func TestCodeOfErrorAnswersWithoutError(t *testing.T) {
	t.Parallel()
	for _, v := range readErrorVectors(t).MalformedStatusToCode {
		t.Run(fmt.Sprint(v.Status), func(t *testing.T) {
			err := callAnswered(t, v.Status, "")
			require.Equal(t, v.Code, rpc.CodeOf(err))
			var got *rpc.Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, v.Status, got.Status)
			require.Equal(t, v.Code.Message(), got.Message)
		})
	}
}

// callAnswered returns the error of a call with this answer.
func callAnswered(t *testing.T, status int, body string) error {
	t.Helper()
	network := roundTrip(func(*http.Request) (*http.Response, error) {
		return reply(status, "application/json", body), nil
	})
	link := rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()})
	_, err := echo.Call(t.Context(), link, nil)
	return err
}
