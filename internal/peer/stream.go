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
// one; after it Next returns [io.EOF]. A stream that breaks before gives what
// it holds and then the reason: [ErrOverflow] if it was read too slowly, a
// *[DecodeError] if an event could not be read, an error that wraps [ErrClosed]
// if the client was closed, [ErrAborted] after Close. When the context ends,
// its cause is returned and the stream stays as it is.
func (s *Stream) Next(ctx context.Context) (*Event, error) { return s.queue.next(ctx) }

// Close ends the stream and forgets what was not read. The server is sent an
// abort unless the stream had ended. Close never fails; the error is there for
// [io.Closer].
func (s *Stream) Close() error {
	s.client.stop(s.call)
	s.queue.drop(ErrAborted)
	return nil
}
