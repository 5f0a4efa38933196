package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Inbox is the object of a channel. There is one for each user.
type Inbox struct{ *durableobject.Object[Notice] }

type service struct {
	key     token.Secret
	inboxes *durableobject.Namespace[*Inbox]
}

// newServer returns the handler of the service, and a function to shut it down.
func newServer(key token.Secret) (http.Handler, func(context.Context) error) {
	inboxes := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Notice]) (*Inbox, error) {
		return &Inbox{o}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: 2 * time.Minute})
	s := &service{key, inboxes}

	procedures := rpc.NewHandler(rpc.NewRouter(Notify.Handler(s.notify)), &rpc.HandlerOptions{Prefix: "/rpc"})
	mux := http.NewServeMux()
	mux.Handle("GET /me", signedIn(s.me))
	mux.Handle("GET /notices", signedIn(s.notices))
	mux.Handle("/rpc/", signedIn(procedures.ServeHTTP))
	mux.Handle("/socket", durableobject.NewHandler(inboxes, nil)) // here the token has the name
	return mux, inboxes.Shutdown
}

// subscription returns the channel that the user may listen to.
func (s *service) subscription(r *http.Request) *durableiterator.Subscription[Notice] {
	return durableiterator.New[Notice](user(r.Context()), &durableiterator.Options{Signer: s.key, TokenTTL: time.Hour})
}

// notices answers with the token alone: a durable iterator is an http.Handler.
func (s *service) notices(w http.ResponseWriter, r *http.Request) {
	s.subscription(r).ServeHTTP(w, r)
}

// me responds with the token in a response of its own format.
func (s *service) me(w http.ResponseWriter, r *http.Request) {
	tok, err := s.subscription(r).Token(r.Context())
	if err != nil {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(Profile{Name: user(r.Context()), Notices: tok}); err != nil {
		log.Print("me: ", err)
	}
}

// notify is a procedure. Its context has the values that middleware has added.
func (s *service) notify(ctx context.Context, in NotifyInput) (rpc.Void, error) {
	inbox, err := s.inboxes.Get(ctx, in.To)
	if err != nil {
		return rpc.Void{}, err
	}
	return rpc.Void{}, inbox.PublishEvent(ctx, Notice{From: user(ctx), Text: in.Text})
}

// signedIn is the service's middleware, in place of yours: it accepts every name.
func signedIn(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, ok := r.BasicAuth()
		if !ok {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), userKey{}, name)))
	})
}

type userKey struct{}

func user(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}
