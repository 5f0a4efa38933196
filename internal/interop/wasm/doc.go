// Program wasm is a client that was compiled for browsers. Its argument is a Config as
// JSON. It prints what happens to its iterator, one thing a line, until the iterator ends.
package main
