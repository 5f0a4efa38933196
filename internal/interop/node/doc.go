// Package node runs oRPC's own packages for TypeScript against this library, under
// Node: their RPC link against our server, over HTTP and over a WebSocket, and our
// links against their RPC handler. It has nothing but tests.
//
// The package of durable iterators is not to be had any more. lib/durable.mjs stands in
// for its client: the RPC link and the retry plugin on a socket that connects again.
//
// The scripts that call procedures also run against a server of @orpc/server, which
// shows that what they expect of ours is what the original does.
//
// The packages come from package-lock.json; the first run installs them below
// node_modules. Go cannot see what the scripts and the servers are made of: after a
// change there, run the tests with -count=1.
package node
