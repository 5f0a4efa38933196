package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/token"
)

// TokenSource returns the tokens that an iterator connects with: the first one, and
// another one for each refresh. Implementations are safe for concurrent use.
// [TokenFunc] makes a source of a function.
type TokenSource interface {
	// Token fetches a token. It returns when ctx ends. An [*rpc.Error] with status
	// 401, 403 or 404 ends the iterator; after any other error it is called again.
	Token(ctx context.Context) (string, error)
}

// TokenFunc is a function as a [TokenSource].
type TokenFunc func(ctx context.Context) (string, error)

// Token calls the function.
func (f TokenFunc) Token(ctx context.Context) (string, error) { return f(ctx) }

// StaticToken returns a source of one token. When that expires, the iterator ends with
// [ErrRefused].
func StaticToken(tok string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) { return tok, nil })
}

// FileToken returns a source that reads the token from a file, each time anew. White space
// around it is ignored, and a byte order mark before it. Another program must keep the file up to date.
func FileToken(path string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("client: file token: %w", err)
		}
		return strings.TrimSpace(string(jsontext.TrimByteOrderMark(text))), nil
	})
}

// credential is a token with its payload, and when it came.
type credential struct {
	text    string
	payload *token.Payload
	came    time.Time
}

// outlived reports whether the token was good when it came and has expired since. The
// clock may have been wrong when it came, or have been set since.
func (c credential) outlived() bool {
	now := time.Now()
	life := lifetime(c.came, c.payload)
	return life > 0 && now.Sub(c.came) >= life || !c.payload.Expired(c.came) && c.payload.Expired(now)
}

// fetchCredential asks a source for a token and reads it.
func fetchCredential(ctx context.Context, source TokenSource) (credential, error) {
	text, err := source.Token(ctx)
	if err != nil {
		return credential{}, newRedactor().clean(err)
	}
	payload, err := token.Parse(text)
	if err != nil {
		return credential{}, newRedactor(text).clean(fmt.Errorf("%w: %w", ErrNoToken, err))
	}
	return credential{text, payload, time.Now()}, nil
}

var errNoSource = errors.New("no TokenSource")

// fitsSocketOf reports whether a socket that was opened with old may go on with c. The
// server compares tags as they are written: none is not the same as an empty list.
func (c credential) fitsSocketOf(old credential) bool {
	return c.payload.Channel == old.payload.Channel &&
		slices.Equal(c.payload.Tags, old.payload.Tags) &&
		(c.payload.Tags == nil) == (old.payload.Tags == nil)
}
