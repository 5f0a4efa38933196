// Package stacks serves a durable iterator, procedures and streams of events behind
// common routers and middleware, over the network. It is a separate module, so that none of
// them becomes a requirement of the library.
package stacks
