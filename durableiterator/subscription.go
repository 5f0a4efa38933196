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

// DefaultTokenTTL is the default lifetime of tokens, the same as oRPC's.
const DefaultTokenTTL = 24 * time.Hour

// NoID is the value of [Options.ID] that leaves the ID out of the token. The token is then
// the same, byte for byte, as one made by oRPC.
const NoID = "-"

// Errors that callers may test for with [errors.Is].
var (
	// ErrNoSigner means that neither [Options] nor [HandlerPlugin] has a Signer, so
	// that the token cannot be signed.
	ErrNoSigner = errors.New("durableiterator: no signer")
	// ErrNoPlugin means that an rpc.Handler has no [HandlerPlugin], so that it cannot
	// replace a Subscription by its token.
	ErrNoPlugin = errors.New("durableiterator: an iterator cannot be sent, only its token: install durableiterator.HandlerPlugin")
	// ErrTokenSize means that the token is larger than MaxTokenBytes of [Options] or
	// [HandlerPlugin], so that a durableobject.Namespace would refuse it.
	ErrTokenSize = errors.New("too large")
)

// Options configures a Subscription. The zero value is usable with [HandlerPlugin].
type Options struct {
	// Signer signs the token. If it is nil, the Signer of [HandlerPlugin] does.
	// It is oRPC's signingKey.
	Signer token.Signer
	// TokenTTL is the lifetime of the token. 0 means the TokenTTL of [HandlerPlugin],
	// or [DefaultTokenTTL]. If it is negative, the token has expired when it is made,
	// as with oRPC. It is oRPC's tokenTTLSeconds.
	TokenTTL time.Duration
	// Tags are the tags of the sockets that are opened with the token; see
	// durableobject.WithTags. A nil list is left out of the token, an empty one is not.
	Tags []string
	// Att is attached to the token: any value that encoding/json can encode. The
	// methods of the durable object can read it, and so can the client. If it is nil,
	// nothing is attached. Keep it small: see MaxTokenBytes.
	Att any
	// MaxTokenBytes is the size of the largest token that is made. If the token is larger,
	// for example because of Att, making it fails with [ErrTokenSize]. It should be the
	// MaxTokenBytes of the durableobject.Namespace, which refuses larger tokens. 0 means
	// the MaxTokenBytes of [HandlerPlugin], or [token.DefaultMaxBytes], which is 8 KiB; a
	// negative value means no limit. oRPC has no counterpart.
	MaxTokenBytes int
	// ID identifies the token, so that it can be revoked on its own: see
	// durableobject.Namespace.Revoke. If it is empty, each token has a random ID, also
	// when a client refreshes its token; [NoID] leaves the ID out. oRPC has no
	// counterpart, and its clients ignore the ID.
	ID string
	// Logger receives the errors of [Subscription.ServeHTTP]. If it is nil, they are
	// discarded.
	Logger *slog.Logger
}

// Subscription is the output of a procedure that lets its caller listen to a channel, whose
// events are values of type T. It is oRPC's DurableIterator. It describes a token that is
// not signed yet. client.Subscribe opens it as an iterator.
//
// With [HandlerPlugin] the rpc.Handler of the procedure sends the signed token.
type Subscription[T any] struct{ grant grant }

// grant is the part of a Subscription that does not depend on T: the claims of its token.
type grant struct {
	channel string
	options Options
	methods []string // nil if RPC was not called
}

// New returns an iterator over the events of a channel. If o is nil, the defaults are
// used. The options are copied; Att is encoded when the token is made.
func New[T any](channel string, o *Options) *Subscription[T] {
	g := grant{channel: channel}
	if o != nil {
		g.options = *o
		g.options.Tags = slices.Clone(o.Tags)
	}
	return &Subscription[T]{g}
}

// RPC returns a copy of it that also allows the client to call methods of the durable
// object. It is oRPC's .rpc(…). A token allows methods by their top-level names, so a
// procedure in a group is allowed by passing its [rpc.MethodGroup]; RPC panics if it is
// passed a procedure of a group. Without arguments, it adds an empty list to the token,
// which allows no method.
func (s *Subscription[T]) RPC(methods ...rpc.Method) *Subscription[T] {
	g := s.grant
	g.methods = make([]string, 0, len(s.grant.methods)+len(methods))
	g.methods = append(g.methods, s.grant.methods...)
	for _, method := range methods {
		g.methods = append(g.methods, topLevel(method))
	}
	return &Subscription[T]{g}
}

func topLevel(method rpc.Method) string {
	path := method.Path()
	group, _, nested := strings.Cut(path, ".")
	if nested {
		panic(fmt.Sprintf("durableiterator: RPC: %q cannot be allowed alone, only its group %q", path, group))
	}
	return path
}

// Token returns the signed token. It is for responses that are not sent through
// [HandlerPlugin]. The error wraps [ErrNoSigner] if Options has no Signer, and [ErrTokenSize] if
// the token is too large.
func (s *Subscription[T]) Token(ctx context.Context) (string, error) {
	return s.sign(ctx, defaults{})
}

// EventType returns the type T, for programs that generate code or documentation from
// contracts. It may be called on a nil Subscription.
func (*Subscription[T]) EventType() reflect.Type { return reflect.TypeFor[T]() }

// MarshalJSON returns [ErrNoPlugin]: only the token of an iterator can be sent.
func (*Subscription[T]) MarshalJSON() ([]byte, error) { return nil, ErrNoPlugin }

// sign returns the token.
func (s *Subscription[T]) sign(ctx context.Context, d defaults) (string, error) {
	if s == nil {
		return "", errors.New("durableiterator: token: the iterator is nil")
	}
	tok, err := s.grant.sign(ctx, d)
	if err != nil {
		return "", fmt.Errorf("durableiterator: token: %w", err)
	}
	return tok, nil
}

func (g *grant) sign(ctx context.Context, d defaults) (string, error) {
	signer := d.signer
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
	now := time.Now().Truncate(time.Second) // iat is in whole seconds, so that the lifetime is exact
	tok, err := signer.Sign(ctx, &token.Payload{
		Channel:   g.channel,
		Tags:      g.options.Tags,
		Att:       att,
		RPC:       g.methods,
		IssuedAt:  now,
		ExpiresAt: now.Add(cmp.Or(g.options.TokenTTL, d.ttl, DefaultTokenTTL)),
		ID:        id,
	})
	if err != nil {
		return "", err
	}
	limit := cmp.Or(g.options.MaxTokenBytes, d.maxTokenBytes, token.DefaultMaxBytes)
	if limit >= 0 && len(tok) > limit {
		return "", fmt.Errorf("%w: it has %d bytes, and MaxTokenBytes is %d", ErrTokenSize, len(tok), limit)
	}
	return tok, nil
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
