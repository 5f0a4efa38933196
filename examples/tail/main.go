// Command tail follows a channel and prints its events. When it is started again, it
// continues where it was, even after it was killed.
//
//	go run ./examples/chat                                       in one terminal, and say something
//	go run ./examples/tail -cursor chat.cursor                   in another: events as they come
//	go run ./examples/tail -cursor chat.cursor -json -n 10 | jq  ten events with their ids
//
// It follows any other server too: -url is the address of the sockets, and -token-url the
// address of the token, which is fetched from a procedure with -input or, if that is empty,
// with GET.
//
// It waits for a server that is not running yet.
//
// The cursor is stored after an event was printed. If the program is killed in between, it
// prints that event again, with the same id, but omits none.
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
	flag.StringVar(&t.url, "url", "http://localhost:3000/room", "address of the sockets")
	flag.StringVar(&t.tokenURL, "token-url", "http://localhost:3000/rpc/join", "address of the token")
	flag.StringVar(&t.input, "input", `{"name":"tail"}`, "JSON for the procedure at -token-url; if empty, the token is fetched with GET")
	flag.StringVar(&t.cursor, "cursor", "", "file for the position after the last printed event")
	flag.BoolVar(&t.asJSON, "json", false, "print a line of JSON for each event, with its id")
	flag.IntVar(&t.most, "n", 0, "exit after this number of events; 0 means never")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := t.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tail:", err)
		os.Exit(1)
	}
}
