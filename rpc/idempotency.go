package rpc

import (
	"crypto/rand"
	"errors"
)

// maxIdempotencyKey is how long the key of a call may be.
const maxIdempotencyKey = 128

var errIdempotencyKey = errors.New("idempotency key is not 1 to 128 visible ASCII characters")

// WithIdempotencyKey sends key as the header "idempotency-key" with the call and each of
// its retries, over HTTP and over sockets, so that the server can tell them from other
// calls: see [Call.IdempotencyKey]. A call with a [Retry] has a random key by default. Set
// one where the application itself repeats a call, also in another process; it must be
// another for each call that is not a repetition. It is up to 128 visible ASCII characters,
// or the call fails. "" sends none. oRPC has no counterpart.
func WithIdempotencyKey(key string) CallOption {
	return callOptionFunc(func(o *callOptions) { o.key = &key })
}

// identify sets the header of the idempotency key.
func (o *callOptions) identify() error {
	header := o.call.Header
	switch {
	case o.key != nil && *o.key == "":
		header.Del(headerIdempotency)
	case o.key != nil:
		if !isIdempotencyKey(*o.key) {
			return errIdempotencyKey
		}
		header.Set(headerIdempotency, *o.key)
	case o.retry.Max > 0 && len(header.Values(headerIdempotency)) == 0:
		if _, streams := streamOf(o.call.Input); !streams { // which is sent once
			header.Set(headerIdempotency, rand.Text())
		}
	}
	return nil
}

func isIdempotencyKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(key) <= maxIdempotencyKey
}
