// Command server is a server for tests with other implementations. It uses only the public
// API.
//
// When it is ready it prints its addresses as one line of JSON, and it ends on
// SIGTERM.
package main

import "github.com/go-orpc/durable-iterator/internal/interop/service"

func main() { service.Main(service.SharedMemory) }
