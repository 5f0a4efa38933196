// Package stacks serves a durable iterator, procedures and streams of events under the
// routers and middleware that people use, over the network. It is a module of its own, so
// that none of them becomes a requirement of the library.
package stacks
