package typescript_test

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// write returns a module without its header.
func write(t *testing.T, o *typescript.Options) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, typescript.Write(&out, o))
	_, module, _ := strings.Cut(out.String(), "\n\n")
	return module
}

func typesOf(types ...reflect.Type) *typescript.Options { return &typescript.Options{Types: types} }

// Addr and Header have the same names as types of other packages.
type (
	Addr   struct{ Addr netip.Addr }
	Header []string
)

func TestNames(t *testing.T) {
	t.Parallel()
	local := func() reflect.Type {
		type Address bool
		return reflect.TypeFor[Address]()
	}()
	type lowercase string
	type Pair[A, B any] struct {
		A A
		B B
	}
	for name, c := range map[string]struct {
		options *typescript.Options
		want    string
	}{
		"of two packages": {typesOf(reflect.TypeFor[Addr](), reflect.TypeFor[Header](), reflect.TypeFor[http.Header]()), `export type HttpHeader = {
  [key: string]: string[] | null
}

export type NetipAddr = string

export interface TypescriptTestAddr {
  Addr: NetipAddr
}

export type TypescriptTestHeader = string[]
`},
		"of two functions": {typesOf(local, reflect.TypeFor[Address]()), `export type TypescriptTestAddress = boolean

export interface TypescriptTestAddress2 {
  street: string
}
`},
		"not exported": {typesOf(reflect.TypeFor[lowercase]()), "export type Lowercase = string\n"},
		"generic": {typesOf(reflect.TypeFor[Pair[map[string]int, *Page[Address]]]()), `export interface Address {
  street: string
}

export interface PageAddress {
  items: Address[] | null
  next?: number
}

export interface PairMapStringIntPageAddress {
  A: Record<string, number> | null
  B: PageAddress | null
}
`},
		"of TypeScript": {typesOf(reflect.TypeFor[File]()), `/** File, as a name, is taken. */
export interface TypescriptTestFile {
  content: File | null
}
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "of TypeScript" {
				c.options.Source = "."
			}
			require.Equal(t, c.want, write(t, c.options))
		})
	}
}

// Errors with the same code are different types if their data differs, and otherwise one
// type.
func TestNamesOfErrors(t *testing.T) {
	t.Parallel()
	muted := rpc.DefineError[int]("MUTED", 403, "")
	module := write(t, &typescript.Options{Contracts: []rpc.Contract{
		rpc.Define[int, bool]("a", muted), rpc.Define[int, bool]("b", muted), rpc.Define[int, bool]("c", rpc.DefineError[string]("MUTED", 403, "")),
	}})
	require.Contains(t, module, "a: Client<C, number, boolean, MutedError | ThrowableError>")
	require.Contains(t, module, "b: Client<C, number, boolean, MutedError | ThrowableError>")
	require.Contains(t, module, "c: Client<C, number, boolean, MutedError2 | ThrowableError>")
	require.Contains(t, module, "export type MutedError2 = ORPCError<'MUTED', string>")
}

// A router and its contracts make the same module.
func TestRouter(t *testing.T) {
	t.Parallel()
	watch := durableiterator.Define[rpc.Void, Address]("watch")
	double := rpc.Define[int, int]("math.double")
	say := rpc.Define[string, rpc.Void]("say")
	router := rpc.NewRouter(
		watch.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[Address], error) {
			return durableiterator.New[Address]("a", nil), nil
		}),
		double.Handler(func(_ context.Context, n int) (int, error) { return 2 * n, nil }),
	)
	iterators := []typescript.Iterator{{Contract: watch, Methods: []rpc.Contract{say}}}
	require.Equal(t,
		write(t, &typescript.Options{Contracts: []rpc.Contract{double}, Iterators: iterators}),
		write(t, &typescript.Options{Router: router, Iterators: iterators}))
	require.Equal(t,
		write(t, &typescript.Options{Contracts: []rpc.Contract{watch, double}}),
		write(t, &typescript.Options{Router: router}))
}

func TestEnums(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		enum   typescript.Enum
		source string
		want   string
	}{
		"strings":              {typescript.EnumOf(StateOpen, StateClosed, "it's"), "", `export type State = 'open' | 'closed' | "it's"`},
		"numbers without name": {typescript.EnumOf(LevelLow, LevelHigh), "", "export type Level = -1 | 1"},
		"constants": {typescript.EnumOf[Level](), ".", `/** Level is a level. */
export type Level = -1 | 0 | 1

export const Level = {
  /** the least */
  Low: -1,
  Mid: 0,
  High: 1,
} as const`},
		"text": {typescript.EnumOf(netip.IPv4Unspecified()), "", "export type Addr = '0.0.0.0'"},
		"many": {typescript.EnumOf(State("a somewhat long value"), State("another one of them"), State("one of these")), "", `export type State =
  'a somewhat long value' | 'another one of them' | 'one of these'`},
		"more": {typescript.EnumOf(State("a value that is longer than that"), State("another one of them"), State("and the last of these")), "", `export type State =
  | 'a value that is longer than that'
  | 'another one of them'
  | 'and the last of these'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want+"\n", write(t, &typescript.Options{Enums: []typescript.Enum{c.enum}, Source: c.source}))
		})
	}
}
