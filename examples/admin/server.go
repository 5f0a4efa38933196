package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	// retention is how long a client may be away without missing messages.
	retention = 10 * time.Minute
	// tokenLife is how long a token is valid, and therefore how long a revocation lasts.
	tokenLife = time.Hour
)

// config configures the server.
type config struct {
	Addr   string // address to listen on
	Demo   bool
	Key    token.Secret // signs the tokens of clients
	Admin  string       // token to sign in with
	Logger *slog.Logger // nil discards
}

// Message is an event.
type Message struct {
	From string `json:"from" validate:"required"`
	Text string `json:"text" validate:"required"`
}

// User is the attachment of a token.
type User struct {
	Name string `json:"name"`
}

// Say is the method of a room.
var Say = rpc.Define[Message, rpc.Void]("say")

// Room is a durable object.
type Room struct {
	*durableobject.Object[Message]
}

// Say publishes a message.
func (r *Room) Say(ctx context.Context, _ *durableobject.Websocket, in Message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, in)
}

// server has the rooms, and the handler of everything.
type server struct {
	config  config
	rooms   *durableobject.Namespace[*Room]
	handler http.Handler
}

func newServer(c config) (*server, error) {
	s := &server{config: c}
	s.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*Room, error) {
		return &Room{o}, nil
	}, &durableobject.Options{
		Verifier: c.Key, ResumeRetention: retention, Logger: c.Logger,
		Subject:  subject, // so that tokens can be revoked by user, which clients cannot choose
		Presence: &durableobject.PresenceOptions{},
	})
	durableobject.Handle(s.rooms, Say, (*Room).Say)
	page, err := newPanel(panel{house: s.rooms, present: s.present, subject: subject, tokenLife: tokenLife}, c.Admin)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", page)
	mux.Handle("/room", durableobject.NewHandler(s.rooms, nil))
	mux.HandleFunc("GET /join", func(w http.ResponseWriter, r *http.Request) { // a real server authenticates the user
		tok, err := s.token(r.Context(), r.FormValue("room"), r.FormValue("name"))
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, tok)
	})
	s.handler = mux
	return s, nil
}

// present returns the members of a room.
func (s *server) present(ctx context.Context, room string) (durableobject.Presence, error) {
	r, err := s.rooms.Get(ctx, room)
	if err != nil {
		return durableobject.Presence{}, err
	}
	return r.Presence(ctx)
}

// token returns a token for a room.
func (s *server) token(ctx context.Context, room, name string) (string, error) {
	o := &durableiterator.Options{Att: User{name}, TokenTTL: tokenLife, Signer: s.config.Key}
	return durableiterator.New[Message](room, o).RPC(Say).Token(ctx)
}

// subject returns the user of a token.
func subject(p *token.Payload) string {
	user, err := token.Att[User](p)
	if err != nil {
		return ""
	}
	return user.Name
}
