package durableiterator_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

var (
	key    = token.Secret("k")
	single = rpc.Define[rpc.Void, rpc.Void]("singleClient")
	group  = rpc.Group("routerClient")
	nested = rpc.DefineIn[rpc.Void, string](group, "ping")
)

func payloadOf(t *testing.T, it *durableiterator.Subscription[string]) *token.Payload {
	t.Helper()
	tok, err := it.Token(t.Context())
	require.NoError(t, err)
	p, err := key.Verify(t.Context(), tok)
	require.NoError(t, err)
	return p
}

func TestToken(t *testing.T) {
	type user struct {
		ID string `json:"id"`
	}
	cases := map[string]struct {
		options durableiterator.Options
		want    string
	}{
		"only the channel": {
			durableiterator.Options{},
			`{"chn":"room","iat":946684800,"exp":946771200}`,
		},
		"tags and attachment (DI-021)": {
			durableiterator.Options{Tags: []string{"a", "b"}, Att: user{ID: "<u1>"}},
			`{"chn":"room","tags":["a","b"],"att":{"id":"<u1>"},"iat":946684800,"exp":946771200}`,
		},
		"empty tags are not absent ones": {
			durableiterator.Options{Tags: []string{}},
			`{"chn":"room","tags":[],"iat":946684800,"exp":946771200}`,
		},
		"an attachment that is null": {
			durableiterator.Options{Att: (*user)(nil)},
			`{"chn":"room","att":null,"iat":946684800,"exp":946771200}`,
		},
		"an attachment that is JSON already": {
			durableiterator.Options{Att: json.RawMessage(`{ "x": 1 }`)},
			`{"chn":"room","att":{"x":1},"iat":946684800,"exp":946771200}`,
		},
		"the life can be set (DI-024)": {
			durableiterator.Options{TokenTTL: time.Minute},
			`{"chn":"room","iat":946684800,"exp":946684860}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.options.Signer, c.options.ID = key, durableiterator.NoID
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(900 * time.Millisecond) // times are in whole seconds
				require.JSONEq(t, c.want, string(payloadOf(t, durableiterator.New[string]("room", &c.options)).Raw))
			})
		})
	}
}

func TestTokenID(t *testing.T) {
	one := durableiterator.New[string]("room", &durableiterator.Options{Signer: key})
	first, second := payloadOf(t, one).ID, payloadOf(t, one).ID
	require.Len(t, first, 26)
	require.NotEqual(t, first, second, "each token has an id of its own")
	named := durableiterator.New[string]("room", &durableiterator.Options{Signer: key, ID: "session-1"})
	require.Equal(t, "session-1", payloadOf(t, named).ID)
	none := durableiterator.New[string]("room", &durableiterator.Options{Signer: key, ID: durableiterator.NoID})
	require.Empty(t, payloadOf(t, none).ID)
	long := durableiterator.New[string]("room", &durableiterator.Options{Signer: key, ID: strings.Repeat("x", 257)})
	_, err := long.Token(t.Context())
	require.ErrorIs(t, err, token.ErrInvalidPayload)
}

func TestOptionsAreCopied(t *testing.T) {
	o := durableiterator.Options{Signer: key, Tags: []string{"a"}}
	it := durableiterator.New[string]("room", &o)
	o.Tags[0], o.Signer = "b", nil
	require.Equal(t, []string{"a"}, payloadOf(t, it).Tags)
}

func TestRPC(t *testing.T) {
	bare := durableiterator.New[string]("room", &durableiterator.Options{Signer: key})
	one := bare.RPC(single)
	cases := map[string]struct {
		it   *durableiterator.Subscription[string]
		want []string
	}{
		"not called":                           {bare, nil},
		"called without methods":               {bare.RPC(), []string{}},
		"a procedure":                          {one, []string{"singleClient"}},
		"calls add up":                         {one.RPC(group), []string{"singleClient", "routerClient"}},
		"the old one does not change (DI-020)": {one, []string{"singleClient"}},
		"a bare name":                          {one.RPC(rpc.Name("other")), []string{"singleClient", "other"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, payloadOf(t, c.it).RPC)
		})
	}
}

func TestRPCRefusesNestedProcedures(t *testing.T) {
	it := durableiterator.New[string]("room", nil)
	require.PanicsWithValue(t,
		`durableiterator: RPC: "routerClient.ping" cannot be allowed alone, only its group "routerClient"`,
		func() { it.RPC(nested) })
	require.Panics(t, func() { it.RPC(rpc.Name("a.b.c")) })
}

func TestTokenErrors(t *testing.T) {
	_, err := durableiterator.New[string]("room", nil).Token(t.Context())
	require.ErrorIs(t, err, durableiterator.ErrNoSigner)

	_, err = durableiterator.New[string]("room", &durableiterator.Options{Signer: key, Att: func() {}}).Token(t.Context())
	require.ErrorContains(t, err, "durableiterator: token: att: ")

	_, err = durableiterator.New[string]("room", &durableiterator.Options{Signer: token.Secret("")}).Token(t.Context())
	require.ErrorIs(t, err, token.ErrNoSigningKey)

	var none *durableiterator.Subscription[string]
	_, err = none.Token(t.Context())
	require.EqualError(t, err, "durableiterator: token: the iterator is nil")
}

func TestIteratorCannotBeEncoded(t *testing.T) {
	it := durableiterator.New[string]("room", &durableiterator.Options{Signer: key})
	_, err := json.Marshal(it)
	require.ErrorIs(t, err, durableiterator.ErrNoPlugin)
	_, err = new(serializer.Serializer).Append(nil, map[string]any{"it": it})
	require.ErrorIs(t, err, durableiterator.ErrNoPlugin)
}

func TestContract(t *testing.T) {
	c := durableiterator.Define[rpc.Void, string]("rooms.onMessage")
	require.Equal(t, "rooms.onMessage", c.Path())
	require.Equal(t, "rooms.onMessage", c.Procedure().Path())
	require.Equal(t, "rooms.onMessage", c.Handler(nil).Path())
	require.Panics(t, func() { durableiterator.Define[rpc.Void, string]("rooms..x") })
}
