package rpc_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

func TestContractsDescribeThemselves(t *testing.T) {
	t.Parallel()
	type stock struct{ Left int }
	soldOut := rpc.DefineError[stock]("SOLD_OUT", 409, "not enough")
	value := func(of reflect.Type) rpc.Payload { return rpc.Payload{Type: of} }
	for name, c := range map[string]struct {
		contract rpc.Contract
		want     rpc.Description
	}{
		"procedure": {
			rpc.Define[int, string]("a.b", rpc.WithMethod("GET"), soldOut, rpc.DefineError[rpc.Void](rpc.CodeNotFound, 0, "")),
			rpc.Description{
				Path: []string{"a", "b"}, Method: "GET", Input: value(reflect.TypeFor[int]()), Output: value(reflect.TypeFor[string]()),
				Errors: []rpc.DeclaredError{
					{Code: "SOLD_OUT", Status: 409, Message: "not enough", Data: reflect.TypeFor[stock]()},
					{Code: "NOT_FOUND", Status: 404, Message: "Not Found", Data: reflect.TypeFor[rpc.Void]()},
				},
			},
		},
		"interface": {
			rpc.Define[any, error]("a"),
			rpc.Description{Path: []string{"a"}, Input: value(reflect.TypeFor[any]()), Output: value(reflect.TypeFor[error]())},
		},
		"events": {
			rpc.DefineEventsIn[rpc.Void, int, string](rpc.Group("g"), "a"),
			rpc.Description{
				Path: []string{"g", "a"}, Input: value(reflect.TypeFor[rpc.Void]()),
				Output: rpc.Payload{Type: reflect.TypeFor[string](), Event: reflect.TypeFor[int]()},
			},
		},
		"events in": {
			rpc.Define[*rpc.Events[int, rpc.Void], *int]("a"),
			rpc.Description{
				Path: []string{"a"}, Input: rpc.Payload{Type: reflect.TypeFor[rpc.Void](), Event: reflect.TypeFor[int]()},
				Output: value(reflect.TypeFor[*int]()),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.contract.Describe())
		})
	}
}

// A caller that changes a description does not change the contract.
func TestDescriptionIsACopy(t *testing.T) {
	t.Parallel()
	p := rpc.Define[int, int]("a.b")
	p.Describe().Path[0] = "other"
	require.Equal(t, "a.b", p.Path())
}

func TestRouterListsItsRoutes(t *testing.T) {
	t.Parallel()
	identity := func(_ context.Context, in int) (int, error) { return in, nil }
	contracts := []rpc.Procedure[int, int]{rpc.Define[int, int]("b"), rpc.Define[int, int]("a.c"), rpc.Define[int, int]("a.b")}
	var routes []rpc.Route
	for _, c := range contracts {
		routes = append(routes, c.Handler(identity))
	}
	listed := rpc.NewRouter(routes...).Routes()
	var paths []string
	for _, route := range listed {
		paths = append(paths, route.Path())
	}
	require.Equal(t, []string{"a.b", "a.c", "b"}, paths)
	require.Equal(t, contracts[2].Describe(), listed[0].Describe())
}
