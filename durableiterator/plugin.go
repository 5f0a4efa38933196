package durableiterator

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	// headerName marks responses whose output is the token of a durable iterator.
	headerName  = "X-Orpc-Durable-Iterator"
	headerValue = "1"

	headerExpose = "Access-Control-Expose-Headers"
)

// HandlerPlugin replaces a [Subscription] that a procedure returns by its token. It marks the
// response with the header x-orpc-durable-iterator and exposes that header to pages of
// other origins. It also forbids caches to store the response, and browsers to guess its
// type. Other outputs are not changed. It is oRPC's DurableIteratorHandlerPlugin.
//
// It runs inside the interceptors that the options had before it, so they see the token.
type HandlerPlugin struct {
	// Signer signs the tokens of iterators that have no Signer of their own.
	Signer token.Signer
	// TokenTTL is the lifetime of the tokens of iterators that have no TokenTTL of
	// their own. 0 means [DefaultTokenTTL].
	TokenTTL time.Duration
	// MaxTokenBytes is the size of the largest token of iterators that have no MaxTokenBytes
	// of their own: see [Options]. 0 means [token.DefaultMaxBytes].
	MaxTokenBytes int
}

// InitHandler implements [rpc.HandlerPlugin]. It copies the plugin, so later changes of
// its fields have no effect. It panics if TokenTTL or MaxTokenBytes is negative or if Signer is an empty
// [token.Secret], which cannot sign.
func (p *HandlerPlugin) InitHandler(o *rpc.HandlerOptions) {
	if p.TokenTTL < 0 {
		panic("durableiterator: HandlerPlugin: TokenTTL is negative")
	}
	if p.MaxTokenBytes < 0 {
		panic("durableiterator: HandlerPlugin: MaxTokenBytes is negative")
	}
	if p.Signer == token.Secret("") {
		panic("durableiterator: HandlerPlugin: Signer is an empty token.Secret")
	}
	own := *p
	o.Interceptors = append(o.Interceptors, own.answer)
}

func (p *HandlerPlugin) answer(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
	out, err := next(ctx, call)
	if err != nil {
		return nil, err
	}
	s, ok := out.(signable)
	if !ok {
		return out, nil
	}
	tok, err := s.sign(ctx, defaults{p.Signer, p.TokenTTL, p.MaxTokenBytes})
	if err != nil {
		return nil, err
	}
	announce(call.ResponseHeader, call.Header)
	return tok, nil
}

// signable is implemented by *Subscription[T] for every T.
type signable interface {
	sign(ctx context.Context, d defaults) (string, error)
}

// defaults are used where the options of an iterator have no value.
type defaults struct {
	signer        token.Signer
	ttl           time.Duration
	maxTokenBytes int
}

// announce sets the headers of a response that is a token. A token is a secret.
func announce(response, request http.Header) {
	response.Set(headerName, headerValue)
	response.Set("Cache-Control", "no-store")
	response.Set("X-Content-Type-Options", "nosniff")
	if request.Get("Origin") != "" && !exposes(response, headerName) {
		response.Add(headerExpose, strings.ToLower(headerName))
	}
}

// exposes reports whether a response already exposes a header to pages of other origins.
func exposes(response http.Header, name string) bool {
	return slices.ContainsFunc(response.Values(headerExpose), func(line string) bool {
		return slices.ContainsFunc(strings.Split(line, ","), func(element string) bool {
			return strings.EqualFold(strings.TrimSpace(element), name)
		})
	})
}
