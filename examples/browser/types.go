package main

import (
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// methods are the methods of a room that a page may call.
var methods = []rpc.Method{Say, Typing, People}

// module describes the module web/src/contract.ts.
var module = &typescript.Options{
	Iterators: []typescript.Iterator{{Contract: Join, Methods: []rpc.Contract{Say, Typing, People}}},
	Source:    ".",
	NoNil:     true,
}
