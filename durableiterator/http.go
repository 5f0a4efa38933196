package durableiterator

import (
	"log/slog"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// ServeHTTP responds with the token, as an rpc.Handler with [HandlerPlugin] does.
// It is for a plain route, which must first check that the caller may listen:
//
//	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
//		durableiterator.New[Message]("some-room", &durableiterator.Options{Signer: key}).ServeHTTP(w, r)
//	})
//
// Clients fetch it with client.HTTPToken. If the token cannot be made, ServeHTTP logs the
// error to [Options.Logger] and responds with status 500.
func (s *Subscription[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tok, err := s.Token(r.Context())
	var body []byte
	if err == nil {
		body, err = new(serializer.Serializer).Append(nil, tok)
	}
	if err != nil {
		s.logger().ErrorContext(r.Context(), "making a token failed", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	announce(header, r.Header)
	header.Set("Content-Type", "application/json")
	_, _ = w.Write(body) // fails if the client has disconnected
}

func (s *Subscription[T]) logger() *slog.Logger {
	if s == nil || s.grant.options.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.grant.options.Logger
}
