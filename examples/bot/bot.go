package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

const (
	// atOnce is the number of messages that the bot answers at the same time. The others
	// wait in the iterator's buffer, and beyond that on the server.
	atOnce = 8
	// drainTime is how long answers may take after a signal to stop.
	drainTime = 10 * time.Second
)

// bot has the values of the flags.
type bot struct {
	server, name string
	hc           *http.Client
	log          *log.Logger
}

// room is the bot's iterator: it yields the messages, and methods are called on it.
type room = *client.Iterator[Message]

// run answers messages until ctx ends, after which it returns nil. It then begins no
// further answer, and waits for those that have begun.
func (b *bot) run(ctx context.Context) error {
	// The room has another context, because it must stay open for the answers after ctx has
	// ended.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	detach := context.AfterFunc(ctx, end) // ctx may end while the bot joins
	r, err := b.join(life)
	if err == nil {
		defer r.Close()
	}
	if !detach() { // it has ended
		return nil
	}
	if err != nil {
		return err
	}

	working, stop := context.WithCancelCause(ctx)
	defer context.AfterFunc(working, func() { time.AfterFunc(drainTime, end) })()
	messages := make(chan Message)
	var listening, answering sync.WaitGroup
	listening.Go(func() { stop(b.listen(working, r, messages)) })
	for range atOnce {
		answering.Go(func() { b.work(working, life, r, messages) })
	}
	answering.Wait()
	_ = r.Close()
	listening.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(working)
}

func (b *bot) join(ctx context.Context) (room, error) {
	server := strings.TrimRight(b.server, "/")
	link := rpc.NewLink(server+"/rpc", &rpc.LinkOptions{
		HTTPClient: b.hc,
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
			URL: server + "/room",
			OnGap: func(context.Context, *client.GapError) {
				b.log.Print("away for too long, some messages have no answer")
			},
		}},
	})
	return client.Subscribe(ctx, link, Join, JoinInput{b.name}, b.untilItIsUp())
}

// untilItIsUp repeats a call while the server cannot be reached. Any response means that it
// can.
func (b *bot) untilItIsUp() rpc.Retry {
	return rpc.Retry{
		Max:   rpc.Unlimited,
		Delay: func(int, error) time.Duration { return time.Second },
		If: func(err error) bool {
			_, unreachable := errors.AsType[*url.Error](err)
			return unreachable
		},
		OnRetry: func(attempt int, err error) func(bool) {
			if attempt == 1 {
				b.log.Printf("waiting for the server: %v", err)
			}
			return nil
		},
	}
}

// listen sends the room's messages to the channel until ctx or the room ends.
func (b *bot) listen(ctx context.Context, r room, messages chan<- Message) error {
	for m, err := range r.All() {
		if err != nil {
			return err
		}
		if m.From == b.name {
			continue
		}
		select {
		case messages <- m:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// work answers messages until working ends. An answer that has begun may take until life
// ends.
func (b *bot) work(working, life context.Context, r room, messages <-chan Message) {
	for {
		select {
		case <-working.Done():
			return
		case m := <-messages:
			if err := b.answer(life, r, m); err != nil {
				b.log.Printf("answer %s: %v", m.From, err)
			}
		}
	}
}

// answer replies to m, in the room or to the person who has whispered. While there is no
// connection it waits. If the connection is lost during a call, it repeats the call: an
// answer may then be sent twice.
func (b *bot) answer(ctx context.Context, r room, m Message) error {
	again := rpc.Retry{Max: 3, If: func(err error) bool { return errors.Is(err, rpc.ErrDisconnected) }}
	text, private := strings.CutPrefix(m.Text, "(whispers) ")
	command, rest, _ := strings.Cut(text, " ")
	var reply string
	switch command {
	case "!help":
		reply = "I know !ping, !echo TEXT and !who"
	case "!ping":
		reply = "pong"
	case "!echo":
		reply = rest
	case "!who":
		names, err := Who.Call(ctx, r, rpc.Void{}, again)
		if err != nil {
			return err
		}
		reply = "here: " + strings.Join(names, ", ")
	}
	if reply == "" {
		return nil
	}
	var err error
	if private {
		_, err = Whisper.Call(ctx, r, WhisperInput{m.From, reply}, again)
	} else {
		_, err = Say.Call(ctx, r, Text{reply}, again)
	}
	return err
}
