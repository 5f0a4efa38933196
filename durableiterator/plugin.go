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
	// headerName marks an answer: it means that the output is the token of a durable iterator.
	headerName  = "X-Orpc-Durable-Iterator"
	headerValue = "1"

	headerExpose = "Access-Control-Expose-Headers"
)

// HandlerPlugin sends the token where a procedure returns an [Iterator], marked by the
// response header x-orpc-durable-iterator, which it exposes to pages of other origins.
// No cache may keep such an answer, and no browser take it for anything but JSON. Other
// outputs are not changed. It is oRPC's DurableIteratorHandlerPlugin.
//
// It runs inside of the interceptors that the options had before it, so they see the
// token.
type HandlerPlugin struct {
	// Signer signs the tokens of iterators that have no Signer of their own.
	Signer token.Signer
	// TokenTTL is how long the tokens of iterators without a TokenTTL of their own
	// are valid. 0 is [DefaultTokenTTL].
	TokenTTL time.Duration
}

// InitHandler implements [rpc.HandlerPlugin]. It copies the plugin, whose fields may
// be changed later without effect, and panics on a negative TokenTTL and on an empty
// [token.Secret], which signs nothing.
func (p *HandlerPlugin) InitHandler(o *rpc.HandlerOptions) {
	if p.TokenTTL < 0 {
		panic("durableiterator: HandlerPlugin: TokenTTL is negative")
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
	it, ok := out.(signable)
	if !ok {
		return out, nil
	}
	tok, err := it.sign(ctx, p.Signer, p.TokenTTL)
	if err != nil {
		return nil, err
	}
	announce(call.ResponseHeader, call.Header)
	return tok, nil
}

// signable is an *Iterator of any type.
type signable interface {
	sign(ctx context.Context, signer token.Signer, ttl time.Duration) (string, error)
}

// announce sets the headers of an answer that is a token, which is a secret.
func announce(response, request http.Header) {
	response.Set(headerName, headerValue)
	response.Set("Cache-Control", "no-store")
	response.Set("X-Content-Type-Options", "nosniff")
	if request.Get("Origin") != "" && !exposes(response, headerName) {
		response.Add(headerExpose, strings.ToLower(headerName))
	}
}

// exposes reports whether pages of other origins may read a header already.
func exposes(response http.Header, name string) bool {
	return slices.ContainsFunc(response.Values(headerExpose), func(line string) bool {
		return slices.ContainsFunc(strings.Split(line, ","), func(element string) bool {
			return strings.EqualFold(strings.TrimSpace(element), name)
		})
	})
}
