package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// lobby is a chat room that records the messages.
type lobby struct {
	*durableobject.Object[Message]
	s *service
}

func (l *lobby) Say(_ context.Context, _ *durableobject.Websocket, in Text) (rpc.Void, error) {
	l.s.said <- in.Text
	<-l.s.held
	return rpc.Void{}, nil
}

func (l *lobby) Whisper(_ context.Context, _ *durableobject.Websocket, in WhisperInput) (rpc.Void, error) {
	l.s.said <- "to " + in.To + ": " + in.Text
	return rpc.Void{}, nil
}

func (l *lobby) Who(context.Context, *durableobject.Websocket, rpc.Void) ([]string, error) {
	return []string{"ann", "bot"}, nil
}

// service is a chat server in memory, with a bot. It belongs to a synctest bubble.
type service struct {
	t     *testing.T
	net   *memhttp.Server
	rooms *durableobject.Namespace[*lobby]
	said  chan string
	held  chan struct{} // methods return when it is closed
	log   bytes.Buffer
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, said: make(chan string, 100), held: make(chan struct{})}
	key := token.Secret("a secret for the test")
	s.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*lobby, error) {
		return &lobby{o, s}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: time.Minute})
	durableobject.Handle(s.rooms, Say, (*lobby).Say)
	durableobject.Handle(s.rooms, Whisper, (*lobby).Whisper)
	durableobject.Handle(s.rooms, Who, (*lobby).Who)
	join := Join.Handler(func(context.Context, JoinInput) (*durableiterator.Subscription[Message], error) {
		return durableiterator.New[Message]("lobby", nil).RPC(Say, Whisper, Who), nil
	})
	mux := http.NewServeMux()
	mux.Handle("/room", durableobject.NewHandler(s.rooms, nil))
	mux.Handle("/rpc/", rpc.NewHandler(rpc.NewRouter(join), &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
	}))
	s.net = memhttp.NewServer(mux)
	t.Cleanup(func() {
		s.net.Close()
		require.NoError(t, s.rooms.Shutdown(context.Background()))
	})
	return s
}

// run starts the bot and returns when that has joined the room.
func (s *service) run(ctx context.Context) <-chan error { return run(ctx, s.net, &s.log) }

func run(ctx context.Context, server *memhttp.Server, out io.Writer) <-chan error {
	b := bot{server: server.URL(), name: "bot", hc: server.Client(), log: log.New(out, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- b.run(ctx) }()
	synctest.Wait()
	return ended
}

func (s *service) publish(from, text string) {
	s.t.Helper()
	room, err := s.rooms.Get(s.t.Context(), "lobby")
	require.NoError(s.t, err)
	require.NoError(s.t, room.PublishEvent(s.t.Context(), Message{from, text}))
}

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		close(s.held)
		ended := s.run(ctx)
		for _, c := range []struct{ from, text, answer string }{
			{"ann", "!ping", "pong"},
			{"ann", "hello", ""},
			{"ann", "!echo it is me", "it is me"},
			{"bot", "!ping", ""},
			{"ann", "!who", "here: ann, bot"},
			{"bob", "(whispers) !ping", "to bob: pong"},
			{"bob", "!help", "I know !ping, !echo TEXT and !who"},
		} {
			s.publish(c.from, c.text)
			synctest.Wait()
			var got string
			if len(s.said) > 0 {
				got = <-s.said
			}
			require.Equal(t, c.answer, got, "%s: %s", c.from, c.text)
		}
		cancel()
		require.NoError(t, <-ended)
		require.Empty(t, s.said)
		require.Empty(t, s.log.String())
	})
}

func TestAnswersWhatWasSaidMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		close(s.held)
		ended := s.run(ctx)
		s.net.SetDown(true)
		s.net.Cut()
		s.publish("ann", "!ping")
		time.Sleep(30 * time.Second)
		require.Empty(t, s.said)
		s.net.SetDown(false)
		require.Equal(t, "pong", <-s.said)
		cancel()
		require.NoError(t, <-ended)
		require.Empty(t, s.log.String())
	})
}

func TestCallsAgainWhenTheConnectionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		ended := s.run(ctx)
		s.publish("ann", "!ping")
		require.Equal(t, "pong", <-s.said)
		s.net.Cut() // before the bot has the answer to its call
		require.Equal(t, "pong", <-s.said)
		close(s.held)
		cancel()
		require.NoError(t, <-ended)
		require.Empty(t, s.log.String())
	})
}

func TestFinishesItsAnswersBeforeItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		ended := s.run(ctx)
		s.publish("ann", "!ping")
		s.publish("bob", "!echo me too")
		require.ElementsMatch(t, []string{"pong", "me too"}, []string{<-s.said, <-s.said})
		cancel()
		synctest.Wait()
		s.publish("ann", "!echo too late")
		time.Sleep(drainTime / 2)
		require.Empty(t, ended)
		close(s.held)
		require.NoError(t, <-ended)
		require.Empty(t, s.said)
		require.Empty(t, s.log.String())
	})
}

func TestLeavesWithoutAnAnswerThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		defer close(s.held)
		ended := s.run(ctx)
		s.publish("ann", "!ping")
		synctest.Wait()
		cancel()
		begin := time.Now()
		require.NoError(t, <-ended)
		require.Equal(t, drainTime, time.Since(begin))
		require.Contains(t, s.log.String(), "answer ann: ")
	})
}

func TestLeavesWhileItJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := memhttp.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // after it net/http detects that the client has disconnected
			<-r.Context().Done()
		}))
		defer server.Close()
		ended := run(ctx, server, t.Output())
		require.Empty(t, ended)
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestEndsWhenItIsNotLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(http.NotFoundHandler())
		defer server.Close()
		err := <-run(t.Context(), server, t.Output())
		require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
	})
}

func TestWaitsForAServerThatIsNotUpYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		close(s.held)
		s.net.SetDown(true)
		ended := s.run(ctx)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, bytes.Count(s.log.Bytes(), []byte("waiting for the server")), "%s", &s.log)
		s.net.SetDown(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.publish("ann", "!ping")
		require.Equal(t, "pong", <-s.said)
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestLeavesWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t)
		s.net.SetDown(true)
		ended := s.run(ctx)
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestBadAddress(t *testing.T) {
	t.Parallel()
	b := bot{server: "localhost:3000", name: "bot", log: log.New(io.Discard, "", 0)}
	require.ErrorIs(t, b.run(t.Context()), rpc.ErrAddress)
}
