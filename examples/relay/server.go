package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

// Hook is an event: posted JSON, which the relay does not decode.
type Hook = json.RawMessage

// maxHook is the size of the largest hook in bytes.
const maxHook = 64 << 10

// newServer returns the handler of the relay, and a function to shut it down.
func newServer(key token.Secret) (http.Handler, func(context.Context) error) {
	// Channels that have neither state nor methods need no type of their own.
	channels := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Hook]) (*durableobject.Object[Hook], error) {
		return o, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: 2 * time.Minute})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /channels/{channel}", func(w http.ResponseWriter, r *http.Request) {
		durableiterator.New[Hook](r.PathValue("channel"), &durableiterator.Options{Signer: key}).ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /channels/{channel}", func(w http.ResponseWriter, r *http.Request) {
		hook, err := readHook(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		channel, err := channels.Get(r.Context(), r.PathValue("channel"))
		if err == nil {
			err = channel.PublishEvent(r.Context(), hook)
		}
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted) // it is stored, and is being sent
	})
	mux.Handle("/socket", durableobject.NewHandler(channels, nil))
	return mux, channels.Shutdown
}

func readHook(w http.ResponseWriter, r *http.Request) (Hook, error) {
	hook, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		return nil, err
	}
	if !json.Valid(hook) {
		return nil, errors.New("this is not JSON")
	}
	return hook, nil
}
