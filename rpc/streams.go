package rpc

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"weak"
)

// streams tracks the streams of events that a handler serves over HTTP. They end when their server
// or the handler shuts down.
type streams struct {
	life context.Context // of the handler
	stop context.CancelCauseFunc
	idle chan struct{} // closed when life has ended and no stream is running

	// mu guards the fields below. servers has a context for each server that has passed a
	// request, which ends when the server shuts down; the map does not keep servers in memory.
	mu      sync.Mutex
	servers map[weak.Pointer[http.Server]]context.Context
	running int
}

func newStreams() *streams {
	s := &streams{idle: make(chan struct{}), servers: map[weak.Pointer[http.Server]]context.Context{}}
	s.life, s.stop = context.WithCancelCause(context.Background())
	return s
}

// of returns a context that ends when the server of a request shuts down. It must be called before
// anything that takes time, because a server that is already shutting down does not call functions
// that are registered then.
func (s *streams) of(r *http.Request) context.Context {
	server := serverOf(r)
	if server == nil {
		return context.Background()
	}
	key := weak.Make(server)
	s.mu.Lock()
	defer s.mu.Unlock()
	if life, known := s.servers[key]; known {
		return life
	}
	life, end := context.WithCancelCause(context.Background())
	s.servers[key] = life //nolint:fatcontext // one for each server, not nested
	server.RegisterOnShutdown(func() { end(errShuttingDown) })
	runtime.AddCleanup(server, s.forget, key)
	return life
}

// serverOf returns the server of a request, or nil if it is not an http.Server.
func serverOf(r *http.Request) *http.Server {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return server
}

func (s *streams) forget(key weak.Pointer[http.Server]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.servers, key)
}

// enter returns the context of a new stream on a server, and a function that the caller must call
// when the stream has ended. It returns an error during a shutdown.
func (s *streams) enter(ctx, server context.Context) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil || server.Err() != nil {
		return nil, nil, errShuttingDown
	}
	s.running++
	ctx, cancel := context.WithCancelCause(ctx)
	shutdown := func() { cancel(errShuttingDown) }
	stopHandler := context.AfterFunc(s.life, shutdown)
	stopServer := context.AfterFunc(server, shutdown)
	return ctx, func() {
		stopHandler()
		stopServer()
		cancel(nil)
		s.leave()
	}, nil
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.settle()
}

// settle closes idle if life has ended and no stream is running. It is called with mu held.
func (s *streams) settle() {
	select {
	case <-s.idle:
	default:
		if s.running == 0 && s.life.Err() != nil {
			close(s.idle)
		}
	}
}

// shutdown ends all streams and waits for them.
func (s *streams) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stop(errShuttingDown)
	s.settle()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == 0 {
		return nil
	}
	return fmt.Errorf("rpc: shutdown: %d event streams are still running: %w", s.running, context.Cause(ctx))
}
