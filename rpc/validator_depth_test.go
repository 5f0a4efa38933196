package rpc_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Types that can contain themselves, in all the ways that a validator follows.
type (
	ring struct {
		Name string `json:"name" validate:"required"`
		Next *ring  `json:"next"`
	}
	branch struct {
		Name   string             `json:"name" validate:"required"`
		Left   *branch            `json:"left"`
		Right  *branch            `json:"right"`
		List   []*branch          `json:"list" validate:"dive"`
		Array  [1]*branch         `json:"array" validate:"dive"`
		ByName map[string]*branch `json:"byName" validate:"dive"`
		Any    any                `json:"any"`
		Twig   struct {
			Back **branch `json:"back"`
		} `json:"twig"`
	}
	// parted contains itself only where no validator looks and nothing is sent.
	parted struct {
		Name   string    `json:"name" validate:"required"`
		Parent *parted   `json:"-" validate:"-"`
		Only   *parted   `json:"-" validate:"structonly"`
		Others []*parted `json:"-"`
		parent *parted
	}
	selfPointer *selfPointer
	selfList    []selfList
	selfMap     map[string]selfMap
)

func branchOf(set func(b *branch)) *branch {
	b := &branch{Name: "b"}
	set(b)
	return b
}

func longRing(n int) *ring {
	var r *ring
	for range n {
		r = &ring{Name: "r", Next: r}
	}
	return r
}

// TestEndlessOutput: an output that contains itself, or is nested too deep, is an internal
// error, whether the validator or the encoder finds it.
func TestEndlessOutput(t *testing.T) {
	t.Parallel()
	circle := &ring{Name: "a"}
	circle.Next = circle
	var pointer selfPointer
	pointer = &pointer
	list := selfList{nil, nil}
	list[0], list[1] = list, list
	byName := selfMap{}
	byName["a"] = byName
	var inside any
	inside = &inside
	for name, out := range map[string]any{
		"pointer":             circle,
		"pointers both ways":  branchOf(func(b *branch) { b.Left, b.Right = b, b }),
		"slice":               branchOf(func(b *branch) { b.List = []*branch{b, b} }),
		"array":               branchOf(func(b *branch) { b.Array[0] = b }),
		"map":                 branchOf(func(b *branch) { b.ByName = map[string]*branch{"a": b} }),
		"interface":           branchOf(func(b *branch) { b.Any = b }),
		"in a slice":          branchOf(func(b *branch) { b.Any = []any{b} }),
		"pointer to pointer":  branchOf(func(b *branch) { b.Twig.Back = &b }),
		"elements":            []*ring{circle},
		"too deep":            longRing(100_000),
		"pointer to itself":   pointer,
		"list of itself":      list,
		"map of itself":       byName,
		"interface in itself": inside,
		"error data":          branchOf(func(b *branch) { b.Left = b }),
	} {
		for kind, v := range map[string]rpc.Validator{"default": nil, "own": validator.New(), "none": rpc.NoValidation} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				type holder struct {
					Out any `json:"out" validate:"required"`
				}
				direct := rpc.Define[rpc.Void, any]("direct")
				held := rpc.Define[rpc.Void, holder]("held")
				ringed := rpc.Define[rpc.Void, *ring]("ringed")
				events := rpc.DefineEvents[rpc.Void, holder, rpc.Void]("events")
				h := rpc.NewHandler(rpc.NewRouter(
					direct.Handler(func(context.Context, rpc.Void) (any, error) {
						if name == "error data" {
							return nil, &rpc.Error{Code: "CONFLICT", Data: out}
						}
						return out, nil
					}),
					held.Handler(func(context.Context, rpc.Void) (holder, error) { return holder{out}, nil }),
					ringed.Handler(func(context.Context, rpc.Void) (*ring, error) {
						r, ok := out.(*ring)
						if !ok {
							r = circle
						}
						return r, nil
					}),
					events.Handler(func(_ context.Context, _ rpc.Void, w *rpc.EventWriter[holder]) (rpc.Void, error) {
						return rpc.Void{}, w.Send(holder{out})
					}),
				), &rpc.HandlerOptions{Validator: v})
				for _, path := range []string{"/direct", "/held", "/ringed"} {
					w := post(h, path, `{}`)
					require.Equal(t, 500, w.Code, path)
					require.Equal(t, rpc.CodeInternalServerError, errorIn(t, w.Body.Bytes()).Code)
				}
				require.Contains(t, post(h, "/events", `{}`).Body.String(), "event: error")
			})
		}
	}
}

// TestEndlessInput: a serializer of the application may make an input that contains itself.
func TestEndlessInput(t *testing.T) {
	t.Parallel()
	p := rpc.Define[*ring, rpc.Void]("p")
	h := rpc.NewHandler(rpc.NewRouter(p.Handler(func(context.Context, *ring) (rpc.Void, error) { return rpc.Void{}, nil })),
		&rpc.HandlerOptions{Serializers: []value.Serializer{value.JSONSerializer(30,
			func(r *ring) (any, error) { return r.Name, nil },
			func(any) (*ring, error) {
				r := &ring{Name: "a"}
				r.Next = r
				return r, nil
			})}})
	require.Equal(t, 500, post(h, "/p", `{"json":"a","meta":[[30]]}`).Code)
}

// TestHarmlessCircles: a circle that no validator follows and that is not sent is allowed,
// and so is a value that is nested deep but not too deep.
func TestHarmlessCircles(t *testing.T) {
	t.Parallel()
	p := &parted{Name: "p"}
	p.Parent, p.Only, p.Others, p.parent = p, p, []*parted{p}, p
	parts := rpc.Define[rpc.Void, *parted]("parts")
	rings := rpc.Define[rpc.Void, *ring]("rings")
	h := rpc.NewHandler(rpc.NewRouter(
		parts.Handler(func(context.Context, rpc.Void) (*parted, error) { return p, nil }),
		rings.Handler(func(context.Context, rpc.Void) (*ring, error) { return longRing(400), nil }),
	), nil)
	require.Equal(t, `{"json":{"name":"p"}}`, post(h, "/parts", `{}`).Body.String())
	require.Equal(t, 200, post(h, "/rings", `{}`).Code)
}

// TestEndlessPanic: a handler may panic with a value that contains itself, which no logger
// could print.
func TestEndlessPanic(t *testing.T) {
	t.Parallel()
	list := selfList{nil}
	list[0] = list
	p := rpc.Define[rpc.Void, rpc.Void]("p")
	var log strings.Builder
	h := rpc.NewHandler(rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { panic(list) })),
		&rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Equal(t, 500, post(h, "/p", `{}`).Code)
	require.Contains(t, log.String(), "panic=rpc_test.selfList")
	require.EqualError(t, &rpc.PanicError{Value: list}, "panic: rpc_test.selfList")
	require.EqualError(t, &rpc.PanicError{Value: context.Canceled}, "panic: context canceled")
	require.EqualError(t, &rpc.PanicError{Value: 7}, "panic: 7")
}
