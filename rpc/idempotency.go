package rpc

import (
	"crypto/rand"
	"errors"
)

// maxIdempotencyKey is the maximum length of the key of a call.
const maxIdempotencyKey = 128

var errIdempotencyKey = errors.New("idempotency key is not 1 to 128 visible ASCII characters")

// WithIdempotencyKey sends key in the header "idempotency-key" of the call and each of its retries,
// over HTTP and over sockets, so that the server recognizes them as repetitions: see
// [Call.IdempotencyKey]. A call with a [Retry] has a random key by default. Set a key if the
// application itself repeats a call, perhaps in another process; calls that are not repetitions
// must have different keys. A key has up to 128 visible ASCII characters; otherwise the call fails.
// "" means no key. oRPC has no counterpart.
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
		if _, streams := streamOf(o.call.Input); !streams { // calls with streams are not repeated
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
