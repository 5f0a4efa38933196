package stacks

import (
	"net/http"

	"github.com/rs/cors"

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
