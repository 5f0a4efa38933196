package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// answerOf calls a procedure with In as input over an encoded body.
func answerOf[In any](o *rpc.HandlerOptions, body string) (status int, answer []byte) {
	p := rpc.Define[In, rpc.Void]("p")
	router := rpc.NewRouter(p.Handler(func(context.Context, In) (rpc.Void, error) { return rpc.Void{}, nil }))
	w := post(rpc.NewHandler(router, o), "/p", body)
	return w.Code, w.Body.Bytes()
}

// issuesOf returns the issues of an input, as "path: message".
func issuesOf(t *testing.T, status int, answer []byte) []string {
	t.Helper()
	if status == 200 {
		return nil
	}
	require.Equal(t, 400, status, "%s", answer)
	e := errorIn(t, answer)
	require.Equal(t, rpc.CodeBadRequest, e.Code)
	require.Equal(t, "Input validation failed", e.Message)
	var data rpc.ValidationIssues
	require.NoError(t, json.Unmarshal(e.Data, &data))
	var lines []string
	for _, issue := range data.Issues {
		require.NotNil(t, issue.Path)
		lines = append(lines, fmt.Sprint(issue.Path)+": "+issue.Message)
	}
	return lines
}

type (
	size   struct{ Width, Height int }
	Author struct {
		Name string `json:"name" validate:"required"`
	}
	Stamp struct {
		By *Author `json:"by"`
	}
	article struct {
		Author           // flattened
		*Stamp           // flattened
		Editor Author    `json:"editor.in[chief]"`
		Title  string    `json:"title,omitempty" validate:"max=5"`
		Tags   []string  `json:"tags" validate:"min=1,dive,oneof=red green"`
		Parts  []Author  `json:"parts" validate:"dive"`
		At     time.Time `json:"at"`
		ByName map[string]Author
		ByID   map[int]Author    `json:"byId" validate:"dive"`
		ByAny  map[string]Author `json:"byAny" validate:"dive"`
		Next   *article          `json:"next"`
	}
)

func TestInputsOfWrongTypes(t *testing.T) {
	t.Parallel()
	status, answer := answerOf[size](nil, `{"json":{"Width":"wide","Height":1.5}}`)
	require.Len(t, issuesOf(t, status, answer), 2)
	status, answer = answerOf[size](nil, `{}`)
	require.Len(t, issuesOf(t, status, answer), 1)
	status, answer = answerOf[[]size](nil, `{"json":[{"Width":1},{"Width":true}]}`)
	lines := issuesOf(t, status, answer)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "[1 Width]: ")
}

func TestRules(t *testing.T) {
	t.Parallel()
	const good = `"name":"a","editor.in[chief]":{"name":"e"},"tags":["red"]`
	tests := map[string]struct {
		body   string
		issues []string
	}{
		"good":               {`{"json":{` + good + `}}`, nil},
		"embedded struct":    {`{"json":{` + good + `,"name":""}}`, []string{"[name]: is required"}},
		"embedded pointer":   {`{"json":{` + good + `,"by":{}}}`, []string{"[by name]: is required"}},
		"odd member name":    {`{"json":{` + good + `,"editor.in[chief]":{"name":""}}}`, []string{"[editor.in[chief] name]: is required"}},
		"size of a text":     {`{"json":{` + good + `,"title":"sixsix"}}`, []string{"[title]: must be at most 5 characters long"}},
		"size of a list":     {`{"json":{` + good + `,"tags":[]}}`, []string{"[tags]: must be at least 1 item long"}},
		"element":            {`{"json":{` + good + `,"tags":["red","blue"]}}`, []string{"[tags 1]: must be one of red, green"}},
		"struct in a list":   {`{"json":{` + good + `,"parts":[{"name":"x"},{}]}}`, []string{"[parts 1 name]: is required"}},
		"entry by number":    {`{"json":{` + good + `,"byId":{"7":{}}}}`, []string{"[byId 7 name]: is required"}},
		"entry by text":      {`{"json":{` + good + `,"byAny":{"a.b[c]":{}}}}`, []string{"[byAny a.b[c] name]: is required"}},
		"map without a dive": {`{"json":{` + good + `,"ByName":{"x":{}}}}`, nil},
		"deep":               {`{"json":{` + good + `,"next":{` + good + `,"next":{"editor.in[chief]":{"name":"e"},"tags":["red"]}}}}`, []string{"[next next name]: is required"}},
		"several, in order":  {`{"json":{"tags":["blue"]}}`, []string{"[name]: is required", "[editor.in[chief] name]: is required", "[tags 0]: must be one of red, green"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, answer := answerOf[article](nil, test.body)
			require.Equal(t, test.issues, issuesOf(t, status, answer))
			status, answer = answerOf[*article](nil, test.body)
			require.Equal(t, test.issues, issuesOf(t, status, answer))
		})
	}
}

func TestRulesWithoutAStructAround(t *testing.T) {
	t.Parallel()
	status, answer := answerOf[[]Author](nil, `{"json":[{"name":"a"},{},{}]}`)
	require.Equal(t, []string{"[1 name]: is required", "[2 name]: is required"}, issuesOf(t, status, answer))
	status, answer = answerOf[map[string][]*Author](nil, `{"json":{"k":[null,{}]}}`)
	require.Equal(t, []string{"[k 1 name]: is required"}, issuesOf(t, status, answer))
	status, answer = answerOf[[2]Author](nil, `{"json":[{"name":"a"},{}]}`)
	require.Equal(t, []string{"[1 name]: is required"}, issuesOf(t, status, answer))
	status, answer = answerOf[map[int]Author](nil, `{"json":{"7":{}}}`)
	require.Equal(t, []string{"[7 name]: is required"}, issuesOf(t, status, answer))
	status, answer = answerOf[map[uint8]Author](nil, `{"json":{"7":{}}}`)
	require.Equal(t, []string{"[7 name]: is required"}, issuesOf(t, status, answer))
	status, answer = answerOf[*Author](nil, `{"json":null}`)
	require.Empty(t, issuesOf(t, status, answer), "nil is no struct")
}

// Keys may look like the brackets that the validator adds. Maps have no order, so the test
// tries several times.
func TestKeysThatLookAlike(t *testing.T) {
	t.Parallel()
	type entries struct {
		ByAny map[string]Author `json:"byAny" validate:"dive"`
	}
	const body = `{"json":{"byAny":{"x":{"name":"n"},"x].Name[":{},"x]":{"name":"n"}}}}`
	for range 100 {
		status, answer := answerOf[entries](nil, body)
		require.Equal(t, []string{"[byAny x].Name[ name]: is required"}, issuesOf(t, status, answer))
	}
}

func TestWordsOfRules(t *testing.T) {
	t.Parallel()
	type words struct {
		Min    int            `json:"min" validate:"min=3"`
		Max    string         `json:"max" validate:"max=1"`
		Gt     float64        `json:"gt" validate:"gt=1.5"`
		Lt     int            `json:"lt" validate:"lt=0"`
		Len    map[string]int `json:"len" validate:"len=2"`
		Email  string         `json:"email" validate:"email"`
		UUID   string         `json:"uuid" validate:"uuid"`
		Prefix string         `json:"prefix" validate:"startswith=a"`
		ASCII  string         `json:"ascii" validate:"ascii"`
	}
	status, answer := answerOf[words](nil, `{"json":{"max":"ab","ascii":"ž"}}`)
	require.Equal(t, []string{
		"[min]: must be at least 3",
		"[max]: must be at most 1 character long",
		"[gt]: must be more than 1.5",
		"[lt]: must be less than 0",
		"[len]: must be exactly 2 items long",
		"[email]: must be a valid email",
		"[uuid]: must be a valid uuid",
		"[prefix]: fails the rule startswith=a",
		"[ascii]: fails the rule ascii",
	}, issuesOf(t, status, answer))
}

// If a custom serializer refuses a body, the body is malformed. The text of its error is
// not sent.
func TestSerializersThatRefuse(t *testing.T) {
	t.Parallel()
	refuses := value.JSONSerializer(30, func(size) (any, error) { return nil, nil },
		func(any) (size, error) { return size{}, errors.New("the secret plan") })
	var seen error
	status, answer := answerOf[any](&rpc.HandlerOptions{
		Serializers:  []value.Serializer{refuses},
		Interceptors: []rpc.Interceptor{rpc.OnError(func(_ context.Context, _ *rpc.Call, err error) { seen = err })},
	}, `{"json":1,"meta":[[30]]}`)
	require.Equal(t, 400, status)
	require.Contains(t, errorIn(t, answer).Message, "Malformed request")
	require.NotContains(t, string(answer), "secret")
	require.ErrorContains(t, errors.Unwrap(seen), "the secret plan")
}

func TestTheNumberOfIssuesIsLimited(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString(`{"json":[{}`)
	for range 999 {
		body.WriteString(",{}")
	}
	body.WriteString("]}")
	status, answer := answerOf[[]Author](nil, body.String())
	require.Len(t, issuesOf(t, status, answer), 100)

	type list struct {
		Items []Author `json:"items" validate:"dive"`
	}
	status, answer = answerOf[list](nil, `{"json":{"items":`+strings.TrimPrefix(body.String(), `{"json":`)+"}")
	require.Len(t, issuesOf(t, status, answer), 100)
}

func TestIssuesAreReadByClients(t *testing.T) {
	t.Parallel()
	link := rpc.NewLink(serve(t, fixtureRouter(), nil), nil)
	_, err := sendMessage.Call(t.Context(), link, messageInput{})
	data, err := rpc.ErrorData[rpc.ValidationIssues](err)
	require.NoError(t, err)
	require.Equal(t, []rpc.Issue{{Message: "is required", Path: []any{"message"}}}, data.Issues)
}

func TestCallsInProcessAreCheckedToo(t *testing.T) {
	t.Parallel()
	router := fixtureRouter()
	_, err := sendMessage.Call(t.Context(), router, messageInput{})
	require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
	_, err = badOutput.Call(t.Context(), router, rpc.Void{})
	require.ErrorContains(t, err, "Output validation failed")
	var cause validator.ValidationErrors
	require.ErrorAs(t, err, &cause)
}

type recursive struct {
	Children []*recursive `json:"children"`
	ByName   map[string]recursive
}

func TestRecursiveTypes(t *testing.T) {
	t.Parallel()
	status, _ := answerOf[recursive](nil, `{"json":{"children":[{}]}}`)
	require.Equal(t, 200, status)
}

func TestOutputsThatHoldThemselves(t *testing.T) {
	t.Parallel()
	loop := make([]any, 1)
	loop[0] = loop
	p := rpc.Define[rpc.Void, any]("p")
	router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (any, error) { return loop, nil }))
	w := post(rpc.NewHandler(router, &rpc.HandlerOptions{Validator: validator.New()}), "/p", "{}")
	require.Equal(t, internalError, w.Body.String())
}

// validatorFunc is a custom validator.
type validatorFunc func(v any) error

func (f validatorFunc) StructCtx(_ context.Context, v any) error { return f(v) }

func TestCustomValidator(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err     error
		status  int
		code    rpc.Code
		message string
	}{
		"accepts":          {nil, 200, "", ""},
		"refuses":          {errors.New("too wide"), 400, rpc.CodeBadRequest, "Input validation failed"},
		"an Error":         {rpc.Errorf(rpc.CodeConflict, "taken"), 409, rpc.CodeConflict, "taken"},
		"cannot be used":   {&validator.InvalidValidationError{}, 500, rpc.CodeInternalServerError, "Internal server error"},
		"validator errors": {validator.New().Struct(Author{}), 400, rpc.CodeBadRequest, "Input validation failed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var seen []any
			v := validatorFunc(func(v any) error { seen = append(seen, v); return test.err })
			status, answer := answerOf[size](&rpc.HandlerOptions{Validator: v}, `{"json":{"Width":7}}`)
			require.Equal(t, []any{size{Width: 7}}, seen, "asked about a type without tags")
			require.Equal(t, test.status, status)
			if test.err != nil {
				require.Equal(t, test.code, errorIn(t, answer).Code)
				require.Equal(t, test.message, errorIn(t, answer).Message)
			}
		})
	}
	t.Run("its words", func(t *testing.T) {
		v := validatorFunc(func(v any) error {
			if v == (size{}) {
				return errors.New("no size")
			}
			return nil
		})
		status, answer := answerOf[[]size](&rpc.HandlerOptions{Validator: v}, `{"json":[{"Width":7},{}]}`)
		require.Equal(t, []string{"[1]: no size"}, issuesOf(t, status, answer))
	})
	t.Run("asked about pointers where there are pointers", func(t *testing.T) {
		var seen []any
		v := validatorFunc(func(v any) error { seen = append(seen, v); return nil })
		answerOf[[]*size](&rpc.HandlerOptions{Validator: v}, `{"json":[{"Width":7},null]}`)
		require.Equal(t, []any{&size{Width: 7}}, seen)
		seen = nil
		answerOf[[]any](&rpc.HandlerOptions{Validator: v}, `{"json":[{"Width":7},null]}`)
		require.Empty(t, seen, "no struct")
	})
	t.Run("its own rules", func(t *testing.T) {
		v := validator.New()
		require.NoError(t, v.RegisterValidation("even", func(f validator.FieldLevel) bool { return f.Field().Int()%2 == 0 }))
		type input struct {
			N int `json:"n" validate:"even"`
		}
		status, answer := answerOf[input](&rpc.HandlerOptions{Validator: v}, `{"json":{"n":7}}`)
		require.Equal(t, []string{"[n]: fails the rule even"}, issuesOf(t, status, answer))
	})
	t.Run("not asked about texts", func(t *testing.T) {
		v := validatorFunc(func(v any) error { return fmt.Errorf("asked about a %T", v) })
		status, _ := answerOf[map[string]string](&rpc.HandlerOptions{Validator: v}, `{"json":{"a":"b"}}`)
		require.Equal(t, 200, status)
		status, _ = answerOf[[]int](&rpc.HandlerOptions{Validator: v}, `{"json":[1]}`)
		require.Equal(t, 200, status)
		status, _ = answerOf[rpc.Void](&rpc.HandlerOptions{Validator: v}, `{}`)
		require.Equal(t, 200, status)
	})
	t.Run("not asked about times", func(t *testing.T) {
		status, _ := answerOf[time.Time](&rpc.HandlerOptions{Validator: validator.New()}, `{"json":"2024-01-02T03:04:05.678Z","meta":[[1]]}`)
		require.Equal(t, 200, status)
		status, _ = answerOf[[]*time.Time](&rpc.HandlerOptions{Validator: validator.New()}, `{"json":["2024-01-02T03:04:05.678Z"],"meta":[[1,0]]}`)
		require.Equal(t, 200, status)
	})
}

func TestNoValidation(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Validator: rpc.NoValidation})
	require.Equal(t, 200, post(h, "/sendMessage", `{"json":{"message":""}}`).Code)
	require.Equal(t, 200, post(h, "/badOutput", `{}`).Code)
	require.Equal(t, 400, post(h, "/sendMessage", `{"json":{"message":1}}`).Code, "types are not up to the validator")
}
