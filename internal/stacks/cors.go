package stacks

import (
	"net/http"
	"time"

	"github.com/rs/cors"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// pages serves procedures to pages of another origin.
func pages(router *rpc.Router) http.Handler {
	origins := []string{"https://app.example.com"}
	procedures := rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix:         "/rpc",
		TrustedOrigins: origins, // whose pages may call
	})
	return cors.New(cors.Options{
		AllowedOrigins:   origins, // whose pages may read the answers
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   []string{"Content-Type", "Last-Event-ID"},
		AllowCredentials: true,
	}).Handler(procedures)
}

// site serves procedures and sockets to pages of another origin, without middleware.
func site[H any](router *rpc.Router, rooms *durableobject.Namespace[H]) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc",
		Plugins: []rpc.HandlerPlugin{&rpc.CORSPlugin{
			Origins:     []string{"https://app.example.com"},
			Credentials: true, // with the user's cookies
			MaxAge:      10 * time.Minute,
		}},
	}))
	mux.Handle("/chat-room", durableobject.NewHandler(rooms, &durableobject.HandlerOptions{
		OriginPatterns: []string{"https://app.example.com"},
	}))
	return mux
}
