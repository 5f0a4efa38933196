// Command client joins the room, says hello and prints the messages of others.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/examples/first/chat"
	"github.com/go-orpc/durable-iterator/rpc"
)

func main() {
	ctx := context.Background()
	link := rpc.NewLink("http://127.0.0.1:3000/rpc", &rpc.LinkOptions{
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
			URL: "ws://127.0.0.1:3000/room",
			OnGap: func(_ context.Context, gap *client.GapError) {
				fmt.Println(gap) // an application with state reloads it here
			},
		}},
	})
	room, err := client.Subscribe(ctx, link, chat.OnMessage, rpc.Void{})
	if err != nil {
		log.Fatal(err)
	}
	defer room.Close()
	if _, err := chat.Say.Call(ctx, room, chat.Message{Text: "hello"}); err != nil {
		log.Fatal(err)
	}
	for m, err := range room.All() { // continues after reconnects, restarts and gaps
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Text)
	}
}
