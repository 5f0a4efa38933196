package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// retention is how long a page may be away without missing messages, and how long it may
// take to repeat one.
const retention = 10 * time.Minute

// grace is how long somebody without a page stays on the list, so that reloads are not
// shown.
const grace = 2 * time.Second

// config configures the server.
type config struct {
	Addr    string        // address to listen on
	Data    string        // the directory of the events; empty keeps them in memory
	Web     string        // the directory of the pages
	Origins []string      // other origins whose pages may connect
	Key     token.Secret  // signs tokens
	Life    time.Duration // of a token; 0 means a day
	Logger  *slog.Logger  `json:"-"` // nil discards
}

// errNotBuilt is returned for a directory of pages whose scripts are missing.
var errNotBuilt = errors.New("the scripts of the pages are not built; with Node and npm: go generate ./examples/browser")

// pages returns the files of the pages.
func pages(dir string) (fs.FS, error) {
	files := os.DirFS(dir)
	for _, script := range []string{"dist/chat.js", "dist/plain.js"} {
		if _, err := fs.Stat(files, script); err != nil {
			return nil, errors.Join(errNotBuilt, err)
		}
	}
	return files, nil
}

// openLog opens the log in a directory, or one in memory if there is none.
func openLog(dir string) (eventlog.Log, error) {
	if dir == "" {
		return eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention, KeyWindow: retention}), nil
	}
	return filelog.Open(dir, &filelog.Options{Retention: retention, KeyWindow: retention})
}

var validate = validator.New(validator.WithRequiredStructEnabled())

// newServer returns the handler of everything, and a function to shut it down.
func newServer(c config, files fs.FS, log eventlog.Log) (http.Handler, func(context.Context) error) {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Event]) (*Room, error) {
		return &Room{o}, nil
	}, &durableobject.Options{
		Verifier: c.Key, ResumeRetention: retention, Log: log, Logger: c.Logger,
		Latest:   200, // number of messages that a page begins with
		Presence: &durableobject.PresenceOptions{Grace: grace},
	})
	durableobject.Handle(rooms, Say, (*Room).Say)
	durableobject.Handle(rooms, Typing, (*Room).Typing)
	durableobject.HandleEvents(rooms, People, (*Room).People)

	join := func(in JoinInput) *durableiterator.Subscription[Event] {
		options := &durableiterator.Options{Att: User{in.Name}, TokenTTL: c.Life, Signer: c.Key}
		return durableiterator.New[Event](in.Room, options).RPC(methods...)
	}
	router := rpc.NewRouter(Join.Handler(func(_ context.Context, in JoinInput) (*durableiterator.Subscription[Event], error) {
		return join(in), nil
	}))

	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc",
		Plugins: []rpc.HandlerPlugin{
			&durableiterator.HandlerPlugin{Signer: c.Key},
			&rpc.CORSPlugin{Origins: c.Origins},
		},
		Logger: c.Logger,
	}))
	mux.Handle("/room", durableobject.NewHandler(rooms, &durableobject.HandlerOptions{OriginPatterns: c.Origins}))
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) { // for a page without oRPC
		in := JoinInput{Room: r.FormValue("room"), Name: r.FormValue("name")}
		if err := validate.Struct(in); err != nil { // as rpc does for the procedure
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		tok, err := join(in).Token(r.Context())
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, tok)
	})
	mux.Handle("/", withPolicy(http.FileServerFS(files)))
	return mux, rooms.Shutdown
}

// withPolicy sets a policy with which pages can only run their own scripts. Browsers check
// each time whether a file has changed.
func withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; connect-src *; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}
