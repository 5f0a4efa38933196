// Command bot joins the room of examples/chat and answers messages.
//
//	go run ./examples/chat    in one terminal: then write !help
//	go run ./examples/bot     in another
//
// It waits for a server that is not running yet, reconnects when the connection is lost,
// and answers the messages that it has missed. On SIGTERM and Ctrl-C it finishes the
// answers that it has begun, and exits.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	b := bot{hc: http.DefaultClient, log: log.New(os.Stderr, "bot: ", 0)}
	flag.StringVar(&b.server, "join", "http://localhost:3000", "the chat to join")
	flag.StringVar(&b.name, "name", "bot", "its name")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		b.log.Fatal(err)
	}
}
