package main

import (
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// methods are what a page may call on its room.
var methods = []rpc.Method{Say, Typing, People}

// module is the contract as the page has it: web/src/contract.ts.
var module = &typescript.Options{
	Iterators: []typescript.Iterator{{Contract: Join, Methods: []rpc.Contract{Say, Typing, People}}},
	Source:    ".",
	NoNil:     true,
}
