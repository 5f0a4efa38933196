package client

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/token"
)

// TokenSource returns the tokens of an iterator: the first one, and another one for each
// refresh. Implementations must be safe for concurrent use. See also [TokenFunc],
// [HTTPToken], [StaticToken] and [FileToken].
type TokenSource interface {
	// Token returns a token. It must return when ctx ends. An [*rpc.Error] with status
	// 401, 403 or 404 ends the iterator; after any other error Token is called again.
	Token(ctx context.Context) (string, error)
}

// TokenFunc is a function that implements [TokenSource].
type TokenFunc func(ctx context.Context) (string, error)

// Token returns f(ctx).
func (f TokenFunc) Token(ctx context.Context) (string, error) { return f(ctx) }

// StaticToken returns a source that always returns tok. When it expires, the iterator ends
// with [ErrRefused].
func StaticToken(tok string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) { return tok, nil })
}

// FileToken returns a source that reads the file at path each time a token is needed. White
// space around the token is ignored, and a byte order mark before it. Another program must
// keep the file up to date.
func FileToken(path string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", prefixed("client: file token", err)
		}
		return strings.TrimSpace(string(jsontext.TrimByteOrderMark(text))), nil
	})
}

// credential is a token with its payload and the time of its arrival.
type credential struct {
	text    string
	payload *token.Payload
	came    time.Time
}

// outlived reports whether the token was valid when it arrived and has expired since. The
// clock may have been wrong at its arrival, or may have been set since.
func (c credential) outlived() bool {
	now := time.Now()
	life := lifetime(c.came, c.payload)
	return life > 0 && now.Sub(c.came) >= life || !c.payload.Expired(c.came) && c.payload.Expired(now)
}

// fetchCredential fetches a token from a source and parses it.
func fetchCredential(ctx context.Context, source TokenSource) (credential, error) {
	text, err := source.Token(ctx)
	if err != nil {
		return credential{}, newRedactor().clean(err)
	}
	payload, err := token.Parse(text)
	if err != nil {
		return credential{}, newRedactor(text).clean(because(ErrNoToken, err))
	}
	return credential{text, payload, time.Now()}, nil
}

var errNoSource = errors.New("no TokenSource")

// fitsSocketOf reports whether a socket that was opened with old can continue with c. The
// server compares tags as they are encoded: no tags differ from an empty list.
func (c credential) fitsSocketOf(old credential) bool {
	return c.payload.Channel == old.payload.Channel &&
		slices.Equal(c.payload.Tags, old.payload.Tags) &&
		(c.payload.Tags == nil) == (old.payload.Tags == nil)
}
