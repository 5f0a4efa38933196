package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/examples/contract/planets"
	"github.com/go-orpc/durable-iterator/examples/contract/tickets"
	"github.com/go-orpc/durable-iterator/rpc"
)

// visit uses every contract of the box office. The contracts are the client: no code has
// the name of a procedure as a string, or converts types.
func visit(ctx context.Context, server string, out io.Writer) error {
	link := rpc.NewLink(server+"/rpc", &rpc.LinkOptions{
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: server + "/board"}},
	})
	board, err := client.Subscribe(ctx, link, tickets.OnSale, rpc.Void{})
	if err != nil {
		return err
	}
	defer board.Close()
	for _, order := range []tickets.Order{{Name: "ann", Seats: 4}, {Name: "bob", Seats: 5}, {Name: "cat", Seats: 3}} {
		if err := buy(ctx, link, order, out); err != nil {
			return err
		}
	}
	pong, err := tickets.Ping.Call(ctx, board, rpc.Void{})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "the board says", pong)
	for sale, err := range board.All() {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "on the board:", sale.Name)
		if sale.Name == "cat" {
			break
		}
	}
	return readJournal(ctx, link, out)
}

// buy recognizes the error that the contract declares, with its data.
func buy(ctx context.Context, link rpc.Caller, order tickets.Order, out io.Writer) error {
	sale, err := tickets.Buy.Call(ctx, link, order)
	if soldOut, ok := tickets.ErrSoldOut.As(err); ok {
		fmt.Fprintf(out, "%s gets nothing, only %d are left\n", order.Name, soldOut.Left)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s gets %d\n", sale.Name, sale.Seats)
	return nil
}

// readJournal reads a stream of events and its return value.
func readJournal(ctx context.Context, link rpc.Caller, out io.Writer) error {
	journal, err := tickets.Journal.Call(ctx, link, rpc.Void{})
	if err != nil {
		return err
	}
	defer journal.Close()
	for sale, err := range journal.All() {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "in the journal:", sale.Name, sale.Seats)
	}
	total, err := journal.Result()
	fmt.Fprintln(out, "in total:", total.Seats)
	return err
}

// find calls a server that is written in TypeScript.
func find(ctx context.Context, server string, id int, out io.Writer) error {
	planet, err := planets.Find.Call(ctx, rpc.NewLink(server, nil), planets.FindInput{ID: id})
	if tooFar, ok := planets.ErrTooFar.As(err); ok {
		fmt.Fprintf(out, "%d is %g light years away\n", id, tooFar.LightYears)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has %d moons and was last seen in %d\n", planet.Name, len(planet.Moons), planet.SeenAt.Year())
	return nil
}
