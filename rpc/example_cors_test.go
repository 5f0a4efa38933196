package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

func ExampleCORSPlugin() {
	greet := rpc.Define[string, string]("greet")
	h := rpc.NewHandler(rpc.NewRouter(greet.Handler(func(_ context.Context, name string) (string, error) {
		return "Hello, " + name, nil
	})), &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.CORSPlugin{
		Origins:     []string{"https://app.example.com"},
		Credentials: true,
		MaxAge:      10 * time.Minute,
	}}})

	ask := func(method, origin string) {
		r := httptest.NewRequest(method, "https://api.example.com/rpc/greet", strings.NewReader(`{"json":"Ann"}`))
		r.Header = http.Header{"Origin": {origin}, "Content-Type": {"application/json"}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(method, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	ask("OPTIONS", "https://app.example.com")
	ask("POST", "https://app.example.com")
	ask("POST", "https://evil.example")
	// Output:
	// OPTIONS 204 https://app.example.com
	// POST 200 https://app.example.com
	// POST 403
}
