package durableiterator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// roomInput is the input of the recorded server's onMessage.
type roomInput struct {
	Room string    `json:"room"`
	Tags []string  `json:"tags"`
	Att  any       `json:"att"`
	TTL  int64     `json:"ttl"`
	RPC  *[]string `json:"rpc"`
}

var (
	onMessage     = durableiterator.Define[roomInput, string]("onMessage")
	onSeedMessage = durableiterator.Define[rpc.Void, string]("onSeedMessage")
)

func recordedRouter() *rpc.Router {
	return rpc.NewRouter(
		onMessage.Handler(func(_ context.Context, in roomInput) (*durableiterator.Subscription[string], error) {
			if in.Room == "" {
				in.Room = "some-room"
			}
			names := []string{"singleClient", "routerClient", "toolbox"}
			if in.RPC != nil {
				names = *in.RPC
			}
			var methods []rpc.Method
			for _, name := range names {
				methods = append(methods, rpc.Name(name))
			}
			return durableiterator.New[string](in.Room, &durableiterator.Options{
				Tags: in.Tags, Att: in.Att, TokenTTL: time.Duration(in.TTL) * time.Second, ID: durableiterator.NoID,
			}).RPC(methods...), nil
		}),
		onSeedMessage.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
			return durableiterator.New[string]("some-room", &durableiterator.Options{
				Tags: []string{"tag1", "tag2"}, ID: durableiterator.NoID,
			}), nil
		}),
	)
}

// TestRecordedAnswers compares whole answers, including tokens and their signatures, with
// those of the original. The clock is set to the time of the recording.
func TestRecordedAnswers(t *testing.T) {
	var recorded struct {
		Exchanges []struct {
			Name    string
			Request *struct {
				Method, Path string
				Body         json.RawMessage
			}
			Response struct {
				Status  int
				Headers [][2]string
				Body    json.RawMessage
			}
		}
	}
	data, err := os.ReadFile("testdata/http.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &recorded))
	handler := rpc.NewHandler(recordedRouter(), &rpc.HandlerOptions{
		Prefix:  "/rpc",
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: token.Secret("secret-key")}},
	})

	ran := 0
	for _, exchange := range recorded.Exchanges {
		if exchange.Request == nil || !strings.HasPrefix(exchange.Name, "durable iterator") {
			continue
		}
		ran++
		t.Run(exchange.Name, func(t *testing.T) {
			var request, response string
			require.NoError(t, json.Unmarshal(exchange.Request.Body, &request))
			require.NoError(t, json.Unmarshal(exchange.Response.Body, &response))
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(issuedAt(t, response).Add(600 * time.Millisecond)))
				r := httptest.NewRequest(exchange.Request.Method, exchange.Request.Path, strings.NewReader(request))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				require.Equal(t, exchange.Response.Status, w.Code)
				require.Equal(t, response, w.Body.String())
				for _, header := range exchange.Response.Headers {
					require.Equal(t, header[1], w.Header().Get(header[0]), header[0])
				}
			})
		})
	}
	require.Equal(t, 3, ran)
}

func issuedAt(t *testing.T, answer string) time.Time {
	t.Helper()
	return tokenIn(t, answer).IssuedAt
}

// tokenIn returns the token in the body of an answer.
func tokenIn(t *testing.T, answer string) *token.Payload {
	t.Helper()
	var body struct{ JSON string }
	require.NoError(t, json.Unmarshal([]byte(answer), &body))
	p, err := token.Parse(body.JSON)
	require.NoError(t, err)
	return p
}

func TestOtherOutputs(t *testing.T) {
	plain := rpc.Define[rpc.Void, string]("plain")
	fails := durableiterator.Define[rpc.Void, string]("fails")
	handler := rpc.NewHandler(rpc.NewRouter(
		plain.Handler(func(context.Context, rpc.Void) (string, error) { return "text", nil }),
		fails.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
			return nil, rpc.Errorf(rpc.CodeForbidden, "no")
		}),
	), &rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: token.Secret("k")}}})

	cases := map[string]struct {
		path   string
		status int
		body   string
	}{
		"an output of another kind is untouched (DI-031)": {"/plain", 200, `{"json":"text"}`},
		"an error stays an error":                         {"/fails", 403, `{"json":{"defined":false,"code":"FORBIDDEN","status":403,"message":"no"}}`},
		"no procedure stays no match (DI-032)":            {"/nowhere", 404, "Not Found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, c.path, nil))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.body, w.Body.String())
			require.NotContains(t, w.Header(), "X-Orpc-Durable-Iterator")
		})
	}
}
