// Program typescript generates the types of the box office for pages in TypeScript.
package main

import (
	"log"
	"os"

	"github.com/go-orpc/durable-iterator/examples/contract/tickets"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

var module = &typescript.Options{
	Contracts: []rpc.Contract{tickets.Buy, tickets.Journal},
	Iterators: []typescript.Iterator{{Contract: tickets.OnSale, Methods: []rpc.Contract{tickets.Ping}}},
	Source:    ".",
}

func main() {
	if err := typescript.WriteFile(os.Args[1], module); err != nil {
		log.Fatal(err)
	}
}
