package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  *rpc.Error
		text string
	}{
		"own message":     {&rpc.Error{Code: rpc.CodeNotFound, Message: "gone"}, "NOT_FOUND: gone"},
		"default message": {&rpc.Error{Code: rpc.CodeNotFound}, "NOT_FOUND: Not Found"},
		"unknown code":    {&rpc.Error{Code: "ODD"}, "ODD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, test.err, test.text)
		})
	}
}

// The text of an error has what a developer needs first.
func TestErrorDetails(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/html" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>")
			return
		}
		http.Error(w, "404 page not found\nat all", http.StatusNotFound)
	}))
	defer server.Close()
	link := rpc.NewLink(server.URL+"/api", nil)
	_, err := rpc.Define[string, string]("say").Call(t.Context(), link, "secret")
	require.EqualError(t, err, "NOT_FOUND: Not Found: POST "+server.URL+"/api/say: 404 page not found")
	_, err = rpc.Define[string, string]("say", rpc.WithMethod(http.MethodGet)).Call(t.Context(), link, "secret")
	require.EqualError(t, err, "NOT_FOUND: Not Found: GET "+server.URL+"/api/say: 404 page not found", "without the input")
	_, err = rpc.Define[string, string]("html").Call(t.Context(), link, "secret")
	require.EqualError(t, err, "BAD_GATEWAY: Bad Gateway: POST "+server.URL+"/api/html")

	issues := rpc.ValidationIssues{Issues: []rpc.Issue{{Message: "is required", Path: []any{"list", 2, "name"}}, {Message: "is red"}}}
	require.EqualError(t, &rpc.Error{Code: rpc.CodeBadRequest, Data: issues}, "BAD_REQUEST: Bad Request: list.2.name: is required")
	require.EqualError(t, &rpc.Error{Code: rpc.CodeConflict, Data: issues}, "CONFLICT: Conflict")
}

func TestErrorfKeepsCauses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err    error
		causes []error
	}{
		"none":    {rpc.Errorf(rpc.CodeConflict, "no %s", "way"), nil},
		"one":     {rpc.Errorf(rpc.CodeConflict, "no: %w", io.EOF), []error{io.EOF}},
		"several": {rpc.Errorf(rpc.CodeConflict, "%w: %w", io.EOF, io.ErrClosedPipe), []error{io.EOF, io.ErrClosedPipe}},
		"added":   {(&rpc.Error{Code: rpc.CodeConflict}).WithCause(io.EOF), []error{io.EOF}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, rpc.CodeConflict, rpc.CodeOf(test.err))
			for _, cause := range test.causes {
				require.ErrorIs(t, test.err, cause)
			}
			if test.causes == nil {
				require.NoError(t, errors.Unwrap(test.err))
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	var none *rpc.Error
	tests := map[string]struct {
		err  error
		code rpc.Code
	}{
		"nil":         {nil, ""},
		"an Error":    {&rpc.Error{Code: "ODD"}, "ODD"},
		"wrapped":     {errors.Join(io.EOF, &rpc.Error{Code: "ODD"}), "ODD"},
		"other error": {io.EOF, rpc.CodeInternalServerError},
		"nil *Error":  {none, rpc.CodeInternalServerError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.code, rpc.CodeOf(test.err))
		})
	}
}

func TestToError(t *testing.T) {
	t.Parallel()
	require.Nil(t, rpc.ToError(nil))

	full := rpc.ToError(&rpc.Error{Code: rpc.CodeConflict})
	require.Equal(t, 409, full.Status)
	require.Equal(t, "Conflict", full.Message)

	hidden := rpc.ToError(io.EOF)
	require.Equal(t, rpc.CodeInternalServerError, hidden.Code)
	require.Equal(t, "Internal server error", hidden.Message)
	require.ErrorIs(t, hidden, io.EOF)

	noError := rpc.ToError(&rpc.Error{Code: "ODD", Status: 204})
	require.Equal(t, rpc.CodeInternalServerError, noError.Code)
	require.ErrorContains(t, errors.Unwrap(noError), "204")
}

func TestErrorData(t *testing.T) {
	t.Parallel()
	link := rpc.NewLink(serve(t, fixtureRouter(), nil), nil)
	_, received := fail.Call(t.Context(), link, failInput{Kind: "defined"})
	_, without := fail.Call(t.Context(), link, failInput{Kind: "unknown-code"})
	made := errTeapot.New(teapotData{Kind: "green"})

	for name, err := range map[string]error{"received": received, "made here": made} {
		t.Run(name, func(t *testing.T) {
			data, err2 := rpc.ErrorData[teapotData](err)
			require.NoError(t, err2)
			require.Equal(t, teapotData{Kind: "green"}, data)
			_, err2 = rpc.ErrorData[rpc.Void](err)
			require.NoError(t, err2)
			_, err2 = rpc.ErrorData[int](err)
			require.Error(t, err2)
		})
	}
	t.Run("as any", func(t *testing.T) {
		data, err := rpc.ErrorData[any](received)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"kind": "green"}, data)
	})
	t.Run("none", func(t *testing.T) {
		require.Equal(t, rpc.Code("NO_STATUS_GIVEN"), rpc.CodeOf(without))
		_, err := rpc.ErrorData[teapotData](without)
		require.Error(t, err)
		_, err = rpc.ErrorData[rpc.Void](without)
		require.NoError(t, err)
	})
	t.Run("no Error", func(t *testing.T) {
		_, err := rpc.ErrorData[rpc.Void](io.EOF)
		require.Error(t, err)
	})
}

func TestErrorDefRecognizesItsError(t *testing.T) {
	t.Parallel()
	gone := rpc.DefineError[rpc.Void]("GONE", 410, "")
	tests := map[string]struct {
		err error
		ok  bool
	}{
		"its own":        {errTeapot.New(teapotData{Kind: "green"}), true},
		"wrapped":        {errors.Join(io.EOF, errTeapot.New(teapotData{Kind: "green"})), true},
		"by hand":        {&rpc.Error{Code: "TEAPOT", Status: 418, Data: teapotData{Kind: "green"}}, true},
		"another code":   {&rpc.Error{Code: "KETTLE", Status: 418, Data: teapotData{Kind: "green"}}, false},
		"another status": {&rpc.Error{Code: "TEAPOT", Data: teapotData{Kind: "green"}}, false},
		"other data":     {&rpc.Error{Code: "TEAPOT", Status: 418, Data: 1}, false},
		"other error":    {io.EOF, false},
		"nil":            {nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, ok := errTeapot.As(test.err)
			require.Equal(t, test.ok, ok)
			if ok {
				require.Equal(t, "green", data.Kind)
			}
		})
	}
	_, ok := gone.As(&rpc.Error{Code: "GONE", Status: 410})
	require.True(t, ok, "an error without data")
	require.Panics(t, func() { rpc.DefineError[rpc.Void]("", 400, "") })
}

// The contract decides whether an error is defined, whatever the handler claims.
func TestDefinedIsDecidedByTheContract(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err     error
		defined bool
	}{
		"declared":                  {errTeapot.New(teapotData{Kind: "green"}), true},
		"declared, made by hand":    {&rpc.Error{Code: "TEAPOT", Status: 418, Data: teapotData{Kind: "green"}}, true},
		"declared, wrapped":         {errors.Join(io.EOF, errTeapot.New(teapotData{})), true},
		"other data":                {&rpc.Error{Code: "TEAPOT", Status: 418, Data: 1}, false},
		"other status":              {&rpc.Error{Code: "TEAPOT", Status: 419, Data: teapotData{}}, false},
		"claimed":                   {&rpc.Error{Code: "ODD", Defined: true}, false},
		"claimed by an inner error": {&rpc.Error{Code: rpc.CodeInternalServerError, Defined: true}, false},
		"no Error":                  {io.EOF, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := rpc.Define[rpc.Void, rpc.Void]("p", errTeapot)
			router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { return rpc.Void{}, test.err }))
			w := post(rpc.NewHandler(router, nil), "/p", "{}")
			require.Equal(t, test.defined, errorIn(t, w.Body.Bytes()).Defined)

			_, err := p.Call(t.Context(), router, rpc.Void{})
			require.ErrorIs(t, err, test.err)
		})
	}
}

func TestErrorDataWithoutData(t *testing.T) {
	t.Parallel()
	data, err := rpc.ErrorData[any](rpc.Errorf(rpc.CodeConflict, "no data"))
	require.NoError(t, err)
	require.Nil(t, data)
	_, err = rpc.ErrorData[string](rpc.Errorf(rpc.CodeConflict, "no data"))
	require.Error(t, err)
}
