package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/examples/contract/tickets"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Board is the object that sales are published on.
type Board struct {
	*durableobject.Object[tickets.Sale]
}

func (*Board) Ping(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return "pong", nil
}

// office sells the seats of one evening.
type office struct {
	boards *durableobject.Namespace[*Board]

	mu    sync.Mutex // guards the fields below
	left  int
	sales []tickets.Sale
}

// newServer returns the handler of a box office, and a function to shut it down.
func newServer(key token.Secret, seats int) (http.Handler, func(context.Context) error) {
	boards := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[tickets.Sale]) (*Board, error) {
		return &Board{o}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: 2 * time.Minute})
	durableobject.Handle(boards, tickets.Ping, (*Board).Ping)
	o := &office{boards: boards, left: seats}

	// Each contract gets its handler. One of a wrong type does not compile.
	router := rpc.NewRouter(
		tickets.Buy.Handler(o.buy),
		tickets.Journal.Handler(o.journal),
		tickets.OnSale.Handler(o.onSale),
	)
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix:  "/rpc",
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
	}))
	mux.Handle("/board", durableobject.NewHandler(boards, nil))
	return mux, boards.Shutdown
}

func (o *office) buy(ctx context.Context, in tickets.Order) (tickets.Sale, error) {
	sale := tickets.Sale(in)
	if left, ok := o.take(sale); !ok {
		return tickets.Sale{}, tickets.ErrSoldOut.New(tickets.SoldOut{Left: left})
	}
	board, err := o.boards.Get(ctx, "tonight")
	if err != nil {
		return tickets.Sale{}, err
	}
	return sale, board.PublishEvent(ctx, sale)
}

// take records a sale if there are enough seats, and returns how many are left.
func (o *office) take(sale tickets.Sale) (left int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left < sale.Seats {
		return o.left, false
	}
	o.left -= sale.Seats
	o.sales = append(o.sales, sale)
	return o.left, true
}

// journal sends events, and then its return value.
func (o *office) journal(_ context.Context, _ rpc.Void, w *rpc.EventWriter[tickets.Sale]) (tickets.Total, error) {
	o.mu.Lock()
	sales := slices.Clone(o.sales)
	o.mu.Unlock()
	var total tickets.Total
	for _, sale := range sales {
		if err := w.Send(sale); err != nil {
			return total, err
		}
		total.Seats += sale.Seats
	}
	return total, nil
}

func (*office) onSale(context.Context, rpc.Void) (*durableiterator.Subscription[tickets.Sale], error) {
	return durableiterator.New[tickets.Sale]("tonight", nil).RPC(tickets.Ping), nil
}
