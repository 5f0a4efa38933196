package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// headerIterator is set by the server to 1 if the output is the token of a durable
// iterator.
const headerIterator = "X-Orpc-Durable-Iterator"

// LinkPlugin configures the iterators that [Subscribe] opens with an rpc.Link. It is oRPC's
// DurableIteratorLinkPlugin. Its fields are those of [Options]. It is copied when the
// link is created.
type LinkPlugin Options

// InitLink implements [rpc.LinkPlugin]. If the options are wrong, [Subscribe] returns an
// error.
func (p *LinkPlugin) InitLink(o *rpc.LinkOptions) {
	own := Options(*p)
	if own.HTTPClient == nil {
		own.HTTPClient = o.HTTPClient
	}
	if own.Serializers == nil {
		own.Serializers = slices.Clone(o.Serializers)
	}
	own, err := own.clone()
	o.Interceptors = append(o.Interceptors, func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if found, ok := call.State().(*discovery); ok {
			if err != nil {
				return nil, err
			}
			found.options = &own
			found.begin = &rpc.Call{Path: call.Path, LastEventID: call.LastEventID}
			if !found.retried { // else this is around all tries
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, own.DialTimeout)
				defer stop()
			}
		}
		return next(ctx, call)
	})
}

// discovery is the state of the call that Subscribe makes. The plugin of the link fills it in.
type discovery struct {
	retried bool // by an option of the call
	options *Options
	begin   *rpc.Call
}

// logger returns the logger of the options.
func (d *discovery) logger() *slog.Logger {
	if d.options == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.options.Logger
}

// Subscribe calls a procedure whose output is a durable iterator, and opens the iterator.
// link is an rpc.Link with a [LinkPlugin]. in and opts are those of the call, which is
// repeated for each refresh of the token. The events begin after the id set by
// [rpc.WithLastEventID]. [rpc.WithResponseHeader] stores the header of the first response
// before Subscribe returns.
//
// Subscribe returns when the server of the sockets has answered the subscription. It returns
// an error of the call unchanged; other errors are those of [Dial]. ctx is the context of
// the iterator, not only of Subscribe: when it ends, the iterator ends.
func Subscribe[In, T any](
	ctx context.Context, link rpc.Caller, c durableiterator.Contract[In, T], in In, opts ...rpc.CallOption,
) (*Iterator[T], error) {
	call := func(ctx context.Context, opts []rpc.CallOption) (string, error) {
		return c.Procedure().Call(ctx, tokenCaller{link}, in, opts...)
	}
	found := discovery{retried: slices.ContainsFunc(opts, func(o rpc.CallOption) bool {
		retry, ok := o.(rpc.Retry)
		return ok && retry.Max > 0
	})}
	cred, err := fetchCredential(ctx, TokenFunc(func(ctx context.Context) (string, error) {
		return call(ctx, append(withRetryLog(ctx, opts, found.logger), rpc.WithState(&found)))
	}))
	if err != nil {
		return nil, err
	}
	if found.options == nil {
		return nil, ErrNoPlugin
	}
	later := withoutHeader(opts)
	source := TokenFunc(func(ctx context.Context) (string, error) { return call(ctx, later) })
	return open[T](ctx, source, cred, *found.options, found.begin)
}

// tokenCaller calls a procedure of a durable iterator for its token.
type tokenCaller struct{ link rpc.Caller }

func (c tokenCaller) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	call.New = nil // leave the output encoded, whatever its type
	out, err := c.link.Call(ctx, call, opts...)
	if err != nil {
		return nil, err
	}
	tok, err := tokenIn(call, out)
	if err != nil {
		return nil, fmt.Errorf("%w for procedure %s: %w", ErrNoToken, strings.Join(call.Path, "."), err)
	}
	return tok, nil
}

var errNotMarked = errors.New("the answer is not a durable iterator")

func tokenIn(call *rpc.Call, out any) (tok string, err error) {
	value, ok := out.(value.Value)
	if !ok || !marked(call.ResponseHeader) {
		return "", errNotMarked
	}
	if err = value.Decode(&tok); err == nil {
		_, err = token.Parse(tok)
	}
	return tok, err
}

func marked(header http.Header) bool {
	return strings.Join(header.Values(headerIterator), ", ") == "1"
}
