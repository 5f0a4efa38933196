package peer

import "context"

// Stream is the event stream that answers a request. Its methods are safe for
// concurrent use; each event goes to one reader.
type Stream struct {
	client *Client
	call   *pending
	queue  *queue
}

// Next waits for the next event. The event of kind done or error is the last
// one; after it Next returns [io.EOF]. A stream that breaks before
// returns the events that it holds and then the reason: [ErrOverflow] if it was read too slowly, a
// *[DecodeError] if an event could not be read, an error that wraps [ErrClosed]
// if the client was closed, [ErrAborted] after Close. When the context ends,
// its cause is returned and the stream stays as it is.
func (s *Stream) Next(ctx context.Context) (*Event, error) { return s.queue.next(ctx) }

// Close ends the stream, drops its unread events and sends an abort unless the
// stream has ended. It always returns nil.
func (s *Stream) Close() error {
	s.client.stop(s.call)
	s.queue.drop(ErrAborted)
	return nil
}
