package value_test

import (
	"context"
	"fmt"
	"math/big"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// echo sends v to a procedure that returns its input, and returns the output.
func echo[T any](v T, serializers ...value.Serializer) T {
	procedure := rpc.Define[T, T]("echo")
	router := rpc.NewRouter(procedure.Handler(func(_ context.Context, in T) (T, error) { return in, nil }))
	server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{Serializers: serializers}))
	defer server.Close()
	out, err := procedure.Call(context.Background(), rpc.NewLink(server.URL, &rpc.LinkOptions{Serializers: serializers}), v)
	if err != nil {
		panic(err)
	}
	return out
}

// Values that JSON does not have keep their types, even in an any.
func Example() {
	address, err := url.Parse("https://example.com/a")
	if err != nil {
		panic(err)
	}
	for _, v := range echo([]any{
		time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		big.NewInt(1 << 62),
		address,
		value.RegExp{Source: "a+", Flags: "gi"},
		value.Set{"x", true},
		value.Undefined{},
	}) {
		fmt.Printf("%T %v\n", v, v)
	}
	// Output:
	// time.Time 2024-01-02 03:04:05 +0000 UTC
	// *big.Int 4611686018427387904
	// *url.URL https://example.com/a
	// value.RegExp /a+/gi
	// value.Set [x true]
	// value.Undefined {}
}

// A Value is decoded when its type is known.
func ExampleValue() {
	type command struct {
		Name  string      `json:"name"`
		Input value.Value `json:"input"`
	}
	type point struct{ X, Y int }

	procedure := rpc.Define[command, string]("run")
	router := rpc.NewRouter(procedure.Handler(func(_ context.Context, c command) (string, error) {
		if c.Name != "move" {
			return "", rpc.Errorf(rpc.CodeBadRequest, "no command %s", c.Name)
		}
		var p point
		if err := c.Input.Decode(&p); err != nil {
			return "", err
		}
		return fmt.Sprintf("moved by %d, %d", p.X, p.Y), nil
	}))
	server := httptest.NewServer(rpc.NewHandler(router, nil))
	defer server.Close()
	move := rpc.Define[map[string]any, string]("run")
	fmt.Println(move.Call(context.Background(), rpc.NewLink(server.URL, nil), map[string]any{"name": "move", "input": point{1, 2}}))
	// Output: moved by 1, 2 <nil>
}

// Append shows a Value as oRPC sends it.
func ExampleValue_Append() {
	v := echo[value.Value](value.Value{})
	text, err := v.Append(nil)
	fmt.Printf("%s %v\n", text, err)
	// Output: {} <nil>
}

// Go maps and a value.Map are both received as a Map in JavaScript. A value.Map keeps its
// order.
func ExampleMap() {
	for _, entry := range echo(value.Map{{Key: 2, Value: "two"}, {Key: 1, Value: "one"}}) {
		fmt.Println(entry.Key, entry.Value)
	}
	fmt.Println(echo(map[int]string{2: "two", 1: "one"}))
	// Output:
	// 2 two
	// 1 one
	// map[1:one 2:two]
}

// A map[K]struct{} is also a set, whose elements have one type.
func ExampleSet() {
	fmt.Println(echo(value.Set{3, "three", 3}))
	fmt.Println(echo(map[string]struct{}{"b": {}, "a": {}}))
	// Output:
	// [3 three]
	// map[a:{} b:{}]
}

// A member that is undefined is not sent: the receiver's value does not change.
func ExampleUndefined() {
	fmt.Println(echo(map[string]any{"kept": nil, "gone": value.Undefined{}}))
	fmt.Println(echo([]any{nil, value.Undefined{}}))
	// Output:
	// map[kept:<nil>]
	// [<nil> {}]
}

func ExampleRegExp_String() {
	fmt.Println(value.RegExp{Source: `^a\/b$`, Flags: "i"})
	// Output: /^a\/b$/i
}

// Money is sent as a string.
type Money struct {
	Cents    int64
	Currency string
}

// A JSONSerializer must be known to the client and to the server.
func ExampleJSONSerializer() {
	money := value.JSONSerializer(21,
		func(m Money) (any, error) { return fmt.Sprintf("%d %s", m.Cents, m.Currency), nil },
		func(content any) (m Money, err error) {
			_, err = fmt.Sscanf(fmt.Sprint(content), "%d %s", &m.Cents, &m.Currency)
			return m, err
		})
	fmt.Printf("%+v\n", echo[any](Money{Cents: 995, Currency: "CZK"}, money))
	// Output: {Cents:995 Currency:CZK}
}

func ExampleFile() {
	type upload struct {
		Title string      `json:"title"`
		Image *value.File `json:"image"`
	}
	back := echo(upload{"A dot", value.NewFile("dot.svg", "image/svg+xml", []byte("<svg/>"))})
	content, err := back.Image.Bytes()
	fmt.Println(back.Title, back.Image.Name, back.Image.Type, back.Image.Size(), string(content), err)
	// Output: A dot dot.svg image/svg+xml 6 <svg/> <nil>
}
