// Package node tests oRPC's own packages for TypeScript with this library, under Node:
// their RPC link with our server, over HTTP and over a WebSocket, and our links with their
// RPC handler. It has only tests.
//
// The package of durable iterators is no longer published. lib/durable.mjs replaces its
// client: the RPC link and the retry plugin on a socket that reconnects.
//
// The scripts that call procedures also run against a server of @orpc/server, which shows
// that the original passes them too.
//
// The packages come from package-lock.json; the first run installs them below
// node_modules. The test cache of Go does not depend on the scripts: after a
// change there, run the tests with -count=1.
package node
