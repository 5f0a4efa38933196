package typescript_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type (
	loop  *loop
	loops **[]loops
)

type withChannel struct {
	Inner struct {
		Bad []chan int `json:"bad"`
	} `json:"inner"`
}

type withFile struct {
	Files []*value.File `json:"files"`
}

func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	contracts := func(list ...rpc.Contract) *typescript.Options { return &typescript.Options{Contracts: list} }
	iterators := func(list ...typescript.Iterator) *typescript.Options { return &typescript.Options{Iterators: list} }
	original := func(method rpc.Contract, event reflect.Type) *typescript.Options {
		o := iterators(typescript.Iterator{Name: "lobby", Event: event, Methods: []rpc.Contract{method}})
		o.ClientModule = typescript.OriginalClientModule
		return o
	}
	methods := func(list ...rpc.Contract) *typescript.Options {
		return iterators(typescript.Iterator{Contract: Watch, Methods: list})
	}
	for name, c := range map[string]struct {
		options *typescript.Options
		want    string
	}{
		"nothing":    {nil, "typescript: no procedures, iterators or types"},
		"bad source": {&typescript.Options{Source: string(filepath.Separator)}, "source: find the go.mod"},
		"a channel": {
			contracts(rpc.Define[withChannel, rpc.Void]("a.b")),
			"typescript: a.b: input: typescript_test.withChannel: inner: bad: values of type chan int cannot be sent",
		},
		"a pointer to itself": {contracts(rpc.Define[loop, rpc.Void]("a")), "type typescript_test.loop is a pointer that leads to itself"},
		"and its elements":    {contracts(rpc.Define[rpc.Void, struct{ A loops }]("a")), "a: output: A: type typescript_test.loops is a pointer that leads"},
		"a type without name": {&typescript.Options{Types: []reflect.Type{reflect.TypeFor[[]string]()}}, "Options.Types: []string cannot be declared"},
		"a file by value":     {contracts(rpc.Define[rpc.Void, value.File]("a")), "a: output: values of type value.File cannot be sent"},
		"data of an error": {
			contracts(rpc.Define[rpc.Void, rpc.Void]("a", rpc.DefineError[chan int]("BAD", 400, ""))), "a: error BAD: values of type chan int",
		},
		"an unnamed serializer": {
			&typescript.Options{Contracts: []rpc.Contract{Echo}, Serializers: []value.Serializer{money}},
			"price: type typescript_test.Money has a Serializer: name its type in Options.Own",
		},
		"two serializers": {&typescript.Options{Serializers: []value.Serializer{money, money}}, "custom type 21 is there twice"},
		"an enum without values": {
			&typescript.Options{Enums: []typescript.Enum{typescript.EnumOf[State]()}}, "enum typescript_test.State: no values",
		},
		"an enum of structs": {
			&typescript.Options{Enums: []typescript.Enum{typescript.EnumOf(Address{})}}, "which is not a string, number or boolean",
		},
		"two of a name": {
			&typescript.Options{
				Contracts: []rpc.Contract{rpc.Define[State, Level]("a")},
				Own:       []typescript.Own{typescript.OwnType[State]("State", "a"), typescript.OwnType[Level]("State", "b")},
			}, "State is imported from a and from b",
		},
		"one path twice":        {contracts(rpc.Define[int, int]("a"), rpc.Define[int, string]("a")), "a: two contracts have this path"},
		"a group of a method":   {contracts(rpc.Define[int, int]("a"), rpc.Define[int, int]("a.b")), "a: it is a procedure, and a group of others"},
		"below a group":         {contracts(rpc.Define[int, int]("x.a"), rpc.Define[int, int]("x.a.b")), "x.a: it is a procedure"},
		"files in events":       {contracts(rpc.DefineEvents[rpc.Void, withFile, int]("a")), "a: output: event: typescript_test.withFile contains a file, which cannot be part of an event"},
		"files of an iterator":  {contracts(durableiterator.Define[rpc.Void, withFile]("a")), "a: event: typescript_test.withFile contains a file"},
		"no iterator":           {iterators(typescript.Iterator{Contract: Echo}), "echo: it does not return an iterator"},
		"an iterator twice":     {iterators(typescript.Iterator{Contract: Watch}, typescript.Iterator{Contract: Watch}), "watch: the iterator is listed twice"},
		"an unknown iterator":   {iterators(typescript.Iterator{Name: "a"}), `iterator "a": it needs a contract, or a name and the type of its events`},
		"a stream for a method": {methods(Import), "watch: import: input: the input of a method cannot be a stream of events"},
		"an original's event that is not an object": {
			original(rpc.Define[string, string]("a"), reflect.TypeFor[string]()), "typescript: event: values of type string may not be objects",
		},
		"an original's event that may be null": {
			original(rpc.Define[string, string]("a"), reflect.TypeFor[*Address]()), "event: values of type *typescript_test.Address may not be objects",
		},
		"an original's event of any type": {
			original(rpc.Define[string, string]("a"), reflect.TypeFor[any]()), "event: values of type interface {} may not be objects",
		},
		"an original's own member": {
			original(rpc.Define[string, string]("return"), reflect.TypeFor[Address]()), "return: iterators of @orpc/experimental-durable-iterator have a member",
		},
		"an original without oRPC": {
			&typescript.Options{Contracts: []rpc.Contract{Watch}, Plain: true, ClientModule: typescript.OriginalClientModule}, "requires a page with oRPC",
		},
		"a method's iterator": {methods(OnFile), "watch: chat.onFile: output: a method cannot return a durable iterator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.ErrorContains(t, typescript.Write(&out, c.options), c.want)
			require.Empty(t, out.String())
		})
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "contract.ts")
	require.NoError(t, typescript.WriteFile(file, options()))
	first, err := os.Stat(file)
	require.NoError(t, err)
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/kinds.ts")
	require.NoError(t, err)
	require.Equal(t, string(golden), string(written))

	require.NoError(t, typescript.WriteFile(file, options()))
	again, err := os.Stat(file)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, again), "a module that has not changed is not written")

	require.NoError(t, typescript.WriteFile(file, &typescript.Options{Contracts: []rpc.Contract{Count}}))
	changed, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(changed), "Kinds")

	require.ErrorContains(t, typescript.WriteFile(file, nil), "typescript: write "+file)
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(changed), string(kept))
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")

	require.ErrorIs(t, typescript.WriteFile(filepath.Join(filepath.Dir(file), "none", "a.ts"), options()), os.ErrNotExist)
}
