package durableiterator

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// DefaultTokenTTL is how long tokens are valid by default. It is oRPC's.
const DefaultTokenTTL = 24 * time.Hour

// NoID as Options.ID leaves the id out of a token, which is then byte for byte that of oRPC.
const NoID = "-"

// Errors that a caller may branch on.
var (
	// ErrNoSigner means that there is no key to sign a token with: neither
	// [Options] nor [HandlerPlugin] has a Signer.
	ErrNoSigner = errors.New("durableiterator: no signer")
	// ErrNoPlugin means that an rpc.Handler has no [HandlerPlugin], so that an Iterator
	// would be sent in place of its token.
	ErrNoPlugin = errors.New("durableiterator: an iterator cannot be sent, only its token: install durableiterator.HandlerPlugin")
)

// Options configures an Iterator. The zero value is usable with [HandlerPlugin].
type Options struct {
	// Signer signs the token. Nil is that of [HandlerPlugin]. oRPC: signingKey.
	Signer token.Signer
	// TokenTTL is how long the token is valid. 0 is that of [HandlerPlugin], or
	// [DefaultTokenTTL]; with a negative one the token has expired when it is made,
	// as with oRPC. oRPC: tokenTTLSeconds.
	TokenTTL time.Duration
	// Tags are the tags of the sockets that the token opens; see
	// durableobject.WithTags. Nil is left out of the token, an empty list is not.
	Tags []string
	// Att is attached to the token: any value that encoding/json can encode. The
	// methods of the durable object can read it, and so can the client. Nil is
	// none. Keep it small: a durableobject.Namespace refuses a token that is larger
	// than its MaxTokenBytes, by default 8 KiB.
	Att any
	// ID names the token, so that it can be revoked alone: see
	// durableobject.Namespace.Revoke. Empty is a random one for each token that is made,
	// also of a client that refreshes its own; with [NoID] there is none. oRPC has no
	// counterpart, and its clients ignore it.
	ID string
	// Logger receives the errors of [Iterator.ServeHTTP]. Nil discards them.
	Logger *slog.Logger
}

// Iterator is the output of a procedure whose caller may listen to the events of a
// channel, values of type T: oRPC's DurableIterator. It describes a token that is not
// signed yet, and cannot be iterated itself; client.Iterator can.
//
// With [HandlerPlugin] the rpc.Handler of the procedure sends the signed token.
type Iterator[T any] struct{ grant grant }

// grant is the part of an Iterator that does not depend on its type: the claims of its
// token.
type grant struct {
	channel string
	options Options
	methods []string // nil: RPC was not called
}

// New returns an iterator of the events of a channel. Nil options are the defaults. The
// options are copied; Att is encoded when the token is made.
func New[T any](channel string, o *Options) *Iterator[T] {
	g := grant{channel: channel}
	if o != nil {
		g.options = *o
		g.options.Tags = slices.Clone(o.Tags)
	}
	return &Iterator[T]{g}
}

// RPC returns a copy that also allows methods of the durable object to be called: oRPC's
// .rpc(…). A token allows them by their top-level name, so a procedure in a
// group is allowed by naming its [rpc.MethodGroup]; naming the procedure panics.
// Called without methods, it adds an empty list to the token, which allows none.
func (it *Iterator[T]) RPC(methods ...rpc.Method) *Iterator[T] {
	g := it.grant
	g.methods = make([]string, 0, len(it.grant.methods)+len(methods))
	g.methods = append(g.methods, it.grant.methods...)
	for _, method := range methods {
		g.methods = append(g.methods, topLevel(method))
	}
	return &Iterator[T]{g}
}

func topLevel(method rpc.Method) string {
	path := method.Path()
	group, _, nested := strings.Cut(path, ".")
	if nested {
		panic(fmt.Sprintf("durableiterator: RPC: %q cannot be allowed alone, only its group %q", path, group))
	}
	return path
}

// Token returns the signed token. It is for answers that do not go through
// [HandlerPlugin]. The error wraps [ErrNoSigner] if Options has no Signer.
func (it *Iterator[T]) Token(ctx context.Context) (string, error) {
	return it.sign(ctx, nil, 0)
}

// EventType returns the type T, for programs that write code or documents from
// contracts. The iterator may be nil.
func (*Iterator[T]) EventType() reflect.Type { return reflect.TypeFor[T]() }

// MarshalJSON fails with [ErrNoPlugin].
func (*Iterator[T]) MarshalJSON() ([]byte, error) { return nil, ErrNoPlugin }

// sign returns the token. The signer and the lifetime are the defaults for an iterator
// without its own.
func (it *Iterator[T]) sign(ctx context.Context, signer token.Signer, ttl time.Duration) (string, error) {
	if it == nil {
		return "", errors.New("durableiterator: token: the iterator is nil")
	}
	tok, err := it.grant.sign(ctx, signer, ttl)
	if err != nil {
		return "", fmt.Errorf("durableiterator: token: %w", err)
	}
	return tok, nil
}

func (g *grant) sign(ctx context.Context, signer token.Signer, ttl time.Duration) (string, error) {
	if g.options.Signer != nil {
		signer = g.options.Signer
	}
	if signer == nil {
		return "", ErrNoSigner
	}
	att, err := encodeAtt(g.options.Att)
	if err != nil {
		return "", fmt.Errorf("att: %w", err)
	}
	id := cmp.Or(g.options.ID, rand.Text())
	if id == NoID {
		id = ""
	}
	now := time.Now().Truncate(time.Second) // as iat is, so that the lifetime is exact
	return signer.Sign(ctx, &token.Payload{
		Channel:   g.channel,
		Tags:      g.options.Tags,
		Att:       att,
		RPC:       g.methods,
		IssuedAt:  now,
		ExpiresAt: now.Add(cmp.Or(g.options.TokenTTL, ttl, DefaultTokenTTL)),
		ID:        id,
	})
}

// encodeAtt encodes an attachment as JavaScript does, without HTML escapes.
func encodeAtt(att any) (json.RawMessage, error) {
	if att == nil {
		return nil, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(att); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
