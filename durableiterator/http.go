package durableiterator

import (
	"log/slog"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// ServeHTTP answers with the token, as an rpc.Handler with [HandlerPlugin] does.
// It is for a plain route, which has to check before that the caller may listen:
//
//	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
//		durableiterator.New[Message]("some-room", &durableiterator.Options{Signer: key}).ServeHTTP(w, r)
//	})
//
// Clients fetch it with client.HTTPToken. A failure is answered with 500 and logged to
// [Options.Logger].
func (it *Iterator[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tok, err := it.Token(r.Context())
	var body []byte
	if err == nil {
		body, err = new(serializer.Serializer).Append(nil, tok)
	}
	if err != nil {
		it.logger().ErrorContext(r.Context(), "token cannot be made", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	announce(header, r.Header)
	header.Set("Content-Type", "application/json")
	_, _ = w.Write(body) // fails if the client has gone
}

func (it *Iterator[T]) logger() *slog.Logger {
	if it == nil || it.grant.options.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return it.grant.options.Logger
}
