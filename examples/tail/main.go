// Command tail follows a channel and prints its events. It goes on where it was when
// it is started again, be it after Ctrl-C or after it was killed.
//
//	go run ./examples/chat                                       in one terminal, and say something
//	go run ./examples/tail -cursor chat.cursor                   in another: events as they come
//	go run ./examples/tail -cursor chat.cursor -json -n 10 | jq  ten events with their ids
//
// It follows any other server too: -url is where the sockets are, and -token-url where the
// token is fetched, from a procedure with -input or, if that is empty, with GET.
//
// It waits for a server that is not up yet.
//
// The cursor is stored when an event was printed. To be killed between the two prints
// that one event again, with the same id: nothing is left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	t := tail{out: os.Stdout, notes: os.Stderr}
	flag.StringVar(&t.url, "url", "http://localhost:3000/room", "where the sockets are")
	flag.StringVar(&t.tokenURL, "token-url", "http://localhost:3000/rpc/join", "where the token is fetched")
	flag.StringVar(&t.input, "input", `{"name":"tail"}`, "JSON for the procedure at -token-url; empty: fetch it with GET")
	flag.StringVar(&t.cursor, "cursor", "", "a file that keeps how far the events are printed")
	flag.BoolVar(&t.asJSON, "json", false, "print a line of JSON for each event, with its id")
	flag.IntVar(&t.most, "n", 0, "exit after so many events; 0: never")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := t.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tail:", err)
		os.Exit(1)
	}
}
