package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// One in failsOneIn fetches of a token fails.
const failsOneIn = 10

// source is the TokenSource of a member.
type source struct {
	member
	tally *tally
	life  time.Duration
	// changing means that the tags of each token differ from those of the previous one, so
	// that a socket cannot continue with it. The audience of events does not depend on
	// them.
	changing bool

	mu sync.Mutex
	n  int // fetches so far
}

// Token implements client.TokenSource.
func (s *source) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	if n%failsOneIn == 0 {
		return "", errors.New("no token this time")
	}
	s.tally.tokens.Add(1)
	tags := s.tags()
	if s.changing && n%2 == 0 {
		tags = append(slices.Clone(tags), "spare")
	}
	now := time.Now()
	return secret.Sign(ctx, &token.Payload{
		Channel: channelOf(s.room), Tags: tags, RPC: []string{echo.Path()}, IssuedAt: now, ExpiresAt: now.Add(s.life),
	})
}
