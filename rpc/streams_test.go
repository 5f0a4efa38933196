//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
)

// ending is a stream that ends with its context, in the way that its input says.
var ending = rpc.DefineEvents[string, int, rpc.Void]("ending")

func endingRouter() *rpc.Router {
	return rpc.NewRouter(ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
		ending.Handler(func(ctx context.Context, how string, w *rpc.EventWriter[int]) (rpc.Void, error) {
			if err := w.Send(1); err != nil {
				return rpc.Void{}, err
			}
			<-ctx.Done()
			switch how {
			case "result":
				return rpc.Void{}, nil
			case "cause":
				return rpc.Void{}, context.Cause(ctx)
			case "send":
				return rpc.Void{}, w.Send(2)
			case "own":
				return rpc.Void{}, rpc.Errorf(rpc.CodeConflict, "own")
			}
			return rpc.Void{}, ctx.Err()
		}))
}

// open opens a stream and reads its first event.
func open(t *testing.T, server *memhttp.Server, how string) func() error {
	t.Helper()
	link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
	events, err := ending.Call(t.Context(), link, how)
	require.NoError(t, err)
	t.Cleanup(func() { _ = events.Close() })
	first := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		for _, err := range events.All() {
			if err != nil {
				ended <- err
				return
			}
			close(first)
		}
		ended <- nil
	}()
	<-first
	return func() error { return <-ended }
}

// A stream that a shutdown cuts short does not look like one that has ended.
func TestStreamsEndWithTheirServer(t *testing.T) {
	t.Parallel()
	for how, code := range map[string]rpc.Code{
		"context": rpc.CodeServiceUnavailable, "cause": rpc.CodeServiceUnavailable, "send": rpc.CodeServiceUnavailable,
		"result": rpc.CodeServiceUnavailable, "own": rpc.CodeConflict,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := rpc.NewHandler(endingRouter(), nil)
				one, other := memhttp.NewServer(h), memhttp.NewServer(h)
				defer one.Close()
				defer other.Close()
				cut, kept := open(t, one, how), open(t, other, how)
				require.NoError(t, one.Shutdown(t.Context()))
				require.Equal(t, code, rpc.CodeOf(cut()))
				open(t, other, how)

				require.NoError(t, h.Shutdown(t.Context()), "which ends the others")
				require.Equal(t, code, rpc.CodeOf(kept()))
			})
		})
	}
}

// A client that keeps sending events does not hold up a shutdown.
func TestInputsEndWithTheirServer(t *testing.T) {
	t.Parallel()
	endless := rpc.Define[*rpc.Events[int, rpc.Void], rpc.Void]("endless")
	for name, shutDown := range map[string]func(context.Context, *memhttp.Server, *rpc.Handler) error{
		"the server":  func(ctx context.Context, server *memhttp.Server, _ *rpc.Handler) error { return server.Shutdown(ctx) },
		"the handler": func(ctx context.Context, _ *memhttp.Server, h *rpc.Handler) error { return h.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := make(chan struct{}, 2)
				h := rpc.NewHandler(rpc.NewRouter(endless.Handler(func(_ context.Context, in *rpc.Events[int, rpc.Void]) (rpc.Void, error) {
					for _, err := range in.All() {
						if err != nil {
							return rpc.Void{}, err
						}
						first <- struct{}{}
					}
					return rpc.Void{}, nil
				})), nil)
				server := memhttp.NewServer(h)
				defer server.Close()
				link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
				inputs, stop := context.WithCancel(t.Context())
				defer stop() // for the server to close if this fails
				call := func() error {
					_, err := endless.Call(t.Context(), link, rpc.NewEvents(inputs,
						func(ctx context.Context, w *rpc.EventWriter[int]) (rpc.Void, error) {
							err := w.Send(1)
							<-ctx.Done()
							return rpc.Void{}, err
						}))
					return err
				}
				ended := make(chan error, 1)
				go func() { ended <- call() }()
				<-first
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.NoError(t, shutDown(ctx, server, h))
				select {
				case err := <-ended:
					require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(err))
				case <-ctx.Done():
					require.Fail(t, "the call goes on")
				}
				if name == "the handler" {
					require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(call()), "of a call that comes later")
				}
			})
		})
	}
}

func TestShutdownOfAHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := rpc.NewHandler(endingRouter(), nil)
		server := memhttp.NewServer(h)
		defer server.Close()
		open(t, server, "context")
		require.NoError(t, h.Shutdown(t.Context()))
		require.NoError(t, h.Shutdown(t.Context()))

		w := post(h, "/ending", `{"json":""}`)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, rpc.CodeServiceUnavailable, errorIn(t, w.Body.Bytes()).Code)
		require.Equal(t, http.StatusOK, post(h, "/nested/ping", `{}`).Code, "calls are the server's matter")
	})
}

// Shutdown returns when its context ends, whatever a handler does.
func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deaf := rpc.DefineEvents[rpc.Void, int, rpc.Void]("deaf")
		release := make(chan struct{})
		h := rpc.NewHandler(rpc.NewRouter(deaf.Handler(func(context.Context, rpc.Void, *rpc.EventWriter[int]) (rpc.Void, error) {
			<-release
			return rpc.Void{}, nil
		})), nil)
		go post(h, "/deaf", `{}`)
		synctest.Wait()
		gone := errors.New("no more time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		err := h.Shutdown(ctx)
		require.ErrorIs(t, err, gone)
		require.ErrorContains(t, err, "1 event streams are still running")
		close(release)
		require.NoError(t, h.Shutdown(t.Context()))
	})
}

// A request that came before a shutdown, and becomes a stream after it, does not hold it
// up.
func TestStreamsThatOpenDuringAShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := rpc.NewHandler(endingRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
			rpc.OnStart(func(context.Context, *rpc.Call) { time.Sleep(time.Minute) }),
		}})
		server := memhttp.NewServer(h)
		defer server.Close()
		answers := make(chan *http.Response, 1)
		go func() {
			res, err := server.Client().Post(server.URL()+"/ending", "application/json", strings.NewReader(`{"json":""}`))
			if err == nil {
				_ = res.Body.Close()
			}
			answers <- res
		}()
		time.Sleep(time.Second)
		require.NoError(t, server.Shutdown(t.Context()))
		require.Equal(t, http.StatusServiceUnavailable, (<-answers).StatusCode)
	})
}

// A handler does not keep its servers in memory.
func TestServersAreForgotten(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(endingRouter(), nil)
	freed := make(chan struct{})
	func() {
		server := &http.Server{ReadHeaderTimeout: time.Minute}
		runtime.AddCleanup(server, func(freed chan struct{}) { close(freed) }, freed)
		r := httptest.NewRequest(http.MethodPost, "/nested/ping", nil)
		ctx := context.WithValue(r.Context(), http.ServerContextKey, server)
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			runtime.KeepAlive(h)
			return
		default:
			runtime.Gosched()
		}
	}
	require.Fail(t, "the server is still in memory")
}
