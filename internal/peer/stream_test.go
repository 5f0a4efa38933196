package peer

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestStream(t *testing.T) {
	message := func(data string) string { return `{"i":"1","t":3,"p":{"e":"message","d":` + data + `,"m":{"id":"e"}}}` }

	bubble(t, "PE-014 PE-080 events in order, then the return value, then the end", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		rig.receive(t, message("1"), message("2"), `{"i":"1","t":3,"p":{"e":"done","d":3}}`, message("4"))
		for _, want := range []string{"1", "2", "3"} {
			e, err := s.Next(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, string(e.Data))
			require.Equal(t, want == "3", e.Kind == EventDone)
			require.Equal(t, want != "3", e.Meta.HasID)
		}
		for range 2 {
			_, err := s.Next(t.Context())
			require.Equal(t, io.EOF, err)
		}
		require.NoError(t, s.Close())
		_, err := s.Next(t.Context())
		require.Equal(t, io.EOF, err)
		require.Empty(t, rig.take(), "no abort for a stream that has ended")
	})
	bubble(t, "PE-081 an error event ends the stream", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		rig.receive(t, `{"i":"1","t":3,"p":{"e":"error","d":{"json":1},"m":{"retry":5}}}`)
		e, err := s.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, EventError, e.Kind)
		require.EqualValues(t, 5, *e.Meta.Retry)
		_, err = s.Next(t.Context())
		require.Equal(t, io.EOF, err)
	})
	bubble(t, "PE-015 closing fails a waiting read and sends an abort", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		read := make(chan error, 1)
		go func() {
			_, err := s.Next(t.Context())
			read <- err
		}()
		synctest.Wait()
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-read, ErrAborted)
		rig.receive(t, message("1"))
		_, err := s.Next(t.Context())
		require.ErrorIs(t, err, ErrAborted)
		require.Equal(t, []string{abort1}, rig.take())
	})
	bubble(t, "PE-082 QU-003 closing the client fails the stream after what it holds", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		rig.receive(t, message("1"))
		cause := errors.New("connection lost")
		rig.Close(cause)
		_, err := s.Next(t.Context())
		require.NoError(t, err)
		_, err = s.Next(t.Context())
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, err, cause)
	})
	bubble(t, "PE-017 the context of Do does not govern the stream", func(t *testing.T) {
		rig := newClientRig(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		res := rig.call(ctx, t)
		rig.receive(t, stream1)
		cancel()
		rig.receive(t, message("1"))
		_, err := res.stream.Next(t.Context())
		require.NoError(t, err)
		_, err = res.stream.Next(ctx)
		require.Equal(t, context.Canceled, err)
		require.Equal(t, []string{request1}, rig.take())
	})
	bubble(t, "events before the response and a second response are ignored", func(t *testing.T) {
		rig := newClientRig(t, nil)
		res := rig.call(t.Context(), t)
		rig.receive(t, message("0"), stream1, answer1, message("1"))
		e, err := res.stream.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "1", string(e.Data))
	})
	bubble(t, "W28 a stream that nobody reads fails, the socket stays", func(t *testing.T) {
		rig := newClientRig(t, &ClientOptions{StreamLimit: Limit{Events: 2}})
		s := rig.openStream(t)
		rig.receive(t, message("1"), message("2"), message("3"), message("4"))
		require.Equal(t, []string{abort1}, rig.take())
		for range 2 {
			_, err := s.Next(t.Context())
			require.NoError(t, err)
		}
		_, err := s.Next(t.Context())
		require.ErrorIs(t, err, ErrOverflow)
		other := rig.call(t.Context(), t)
		rig.receive(t, `{"i":"2","p":{}}`)
		require.NoError(t, other.err)
	})
	bubble(t, "W28 bytes are limited too, but the end of a stream always fits", func(t *testing.T) {
		rig := newClientRig(t, &ClientOptions{StreamLimit: Limit{Bytes: 500}})
		s := rig.openStream(t)
		long := `"` + strings.Repeat("x", 100) + `"`
		rig.receive(t, message(long))
		_, err := s.Next(t.Context())
		require.NoError(t, err)
		rig.receive(t, message(long), `{"i":"1","t":3,"p":{"e":"done","d":"twenty bytes of data"}}`)
		for range 2 {
			_, err := s.Next(t.Context())
			require.NoError(t, err)
		}
		_, err = s.Next(t.Context())
		require.Equal(t, io.EOF, err)
	})
	bubble(t, "what is counted is the frame that an event keeps, not its data", func(t *testing.T) {
		rig := newClientRig(t, &ClientOptions{StreamLimit: Limit{Bytes: 6000}})
		s := rig.openStream(t)
		padded := `{"i":"1","t":3,"p":{"e":"message","d":1},"pad":"` + strings.Repeat("x", 2000) + `"}`
		rig.receive(t, padded, padded, padded)
		for range 2 {
			_, err := s.Next(t.Context())
			require.NoError(t, err)
		}
		_, err := s.Next(t.Context())
		require.ErrorIs(t, err, ErrOverflow)
	})
	bubble(t, "an event that cannot be read fails the stream", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		rig.receive(t, message("1"))
		require.Error(t, rig.Receive(textFrame(`{"i":"1","t":3,"p":{"e":5}}`)))
		require.Error(t, rig.Receive(textFrame(`{"i":"1","p":{"s":"?"}}`)))
		_, err := s.Next(t.Context())
		require.NoError(t, err)
		_, err = s.Next(t.Context())
		require.ErrorIs(t, err, errNoText)
		require.Equal(t, []string{abort1}, rig.take())
	})
	bubble(t, "QU-002 QU-004 reads at once get one event each", func(t *testing.T) {
		rig := newClientRig(t, nil)
		s := rig.openStream(t)
		const readers = 10
		got := make(chan string, readers)
		for range readers {
			go func() {
				e, err := s.Next(t.Context())
				if err != nil {
					got <- err.Error()
					return
				}
				got <- string(e.Data)
			}()
		}
		synctest.Wait()
		rig.receive(t, message("1"), message("2"), `{"i":"1","t":3,"p":{"e":"done","d":3}}`)
		count := make(map[string]int)
		for range readers {
			count[<-got]++
		}
		require.Equal(t, map[string]int{"1": 1, "2": 1, "3": 1, "EOF": readers - 3}, count)
	})
}
