// Package node runs oRPC's own packages for TypeScript against this library, under
// Node: their RPC link against our server, over HTTP and over a WebSocket, and our
// links against their RPC handler. It has only tests.
//
// The package of durable iterators is not published any more. lib/durable.mjs replaces its
// client: the RPC link and the retry plugin on a socket that reconnects.
//
// The scripts that call procedures also run against a server of @orpc/server, which
// shows that the original meets their expectations, too.
//
// The packages come from package-lock.json; the first run installs them below
// node_modules. The test cache of Go does not depend on the scripts: after a
// change there, run the tests with -count=1.
package node
