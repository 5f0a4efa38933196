package rpc

import (
	"context"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// do sends a request, and its input if that is a stream of events, which is nil
// otherwise.
func (p *ClientPeer) do(
	ctx context.Context, socket *clientSocket, r *peer.Request, input *eventStream,
) (*peer.Response, *peer.Stream, error) {
	if input == nil {
		return socket.client.Do(ctx, r)
	}
	sending := false
	response, stream, err := socket.client.DoInput(ctx, r, func(i *peer.Input) {
		sending = true
		go input.sendTo(p.serializer, func(e *peer.Event) error { return i.Send(input.life, e) })
		go func() {
			<-i.Done()
			input.stop()
		}()
	})
	if !sending {
		input.stop()
	}
	return response, stream, err
}
