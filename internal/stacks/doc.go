// Package stacks tests durable iterators, procedures and streams of events behind common
// routers and middleware, over the network. It is a separate module, so that the library
// does not depend on them.
package stacks
