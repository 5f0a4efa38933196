package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/examples/contract/tickets"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
)

func TestEveryContractIsUsed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, play(t.Context(), &out))
	require.Equal(t, `ann gets 4
bob gets nothing, only 4 are left
cat gets 3
the board says pong
on the board: ann
on the board: cat
in the journal: ann 4
in the journal: cat 3
in total: 7
`, out.String())
}

// An error is the declared one only if its code, status and data match.
func TestDeclaredErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err     error
		defined bool
	}{
		"declared":       {tickets.ErrSoldOut.New(tickets.SoldOut{Left: 2}), true},
		"same by hand":   {&rpc.Error{Code: "SOLD_OUT", Status: 409, Data: tickets.SoldOut{Left: 2}}, true},
		"another status": {&rpc.Error{Code: "SOLD_OUT", Status: 410, Data: tickets.SoldOut{Left: 2}}, false},
		"another code":   {&rpc.Error{Code: "CONFLICT", Status: 409, Data: tickets.SoldOut{Left: 2}}, false},
		"other data":     {&rpc.Error{Code: "SOLD_OUT", Status: 409, Data: "two are left"}, false},
		"only a claim":   {&rpc.Error{Code: "CONFLICT", Defined: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(
				tickets.Buy.Handler(func(context.Context, tickets.Order) (tickets.Sale, error) { return tickets.Sale{}, c.err }),
			), nil))
			defer server.Close()
			_, err := tickets.Buy.Call(t.Context(), rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()}),
				tickets.Order{Name: "ann", Seats: 1})
			var sent *rpc.Error
			require.ErrorAs(t, err, &sent)
			require.Equal(t, c.defined, sent.Defined)
			soldOut, ok := tickets.ErrSoldOut.As(err)
			require.Equal(t, c.defined, ok)
			if ok {
				require.Equal(t, 2, soldOut.Left)
			}
		})
	}
}
