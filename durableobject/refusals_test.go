package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// A refusal leaves a trace for the operator: a count with its reason, and a log record with its
// cause, which names the channel if the token is authentic.
func TestRefusalsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	unavailable := verifierFunc(func(context.Context, string) (*token.Payload, error) { return nil, errors.New("key service is down") })
	for name, test := range map[string]struct {
		options durableobject.Options
		refuse  error // returned by Authorize
		token   func(t *testing.T) string
		header  http.Header
		reason  string
		level   string // of the record; "" if another one is about the failure
		logs    []string
		channel bool // whether the record has it
	}{
		"a wrong key": {token: func(t *testing.T) string {
			t.Helper()
			tok, err := token.Secret("of last year").Sign(t.Context(), &payload{Channel: "room", ExpiresAt: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			return tok
		}, reason: durableobject.RefusedSignature, level: "WARN", logs: []string{"wrong signature"}},
		"garbage": {token: func(*testing.T) string { return "garbage" },
			reason: durableobject.RefusedMalformed, level: "WARN", logs: []string{"malformed"}},
		"expired": {token: func(t *testing.T) string { t.Helper(); return sign(t, "room", withLife(-time.Minute)) },
			reason: durableobject.RefusedExpired, level: "DEBUG", logs: []string{"expired"}, channel: true},
		"claims": {options: durableobject.Options{Verifier: verifierFunc(func(context.Context, string) (*token.Payload, error) {
			return nil, fmt.Errorf("issuer: %w", token.ErrClaims)
		})}, reason: durableobject.RefusedClaims, level: "WARN", logs: []string{"issuer: claims refused"}, channel: true},
		"too large": {options: durableobject.Options{MaxTokenBytes: 10},
			reason: durableobject.RefusedSize, level: "WARN", logs: []string{"MaxTokenBytes, which is 10"}},
		"another namespace's": {options: durableobject.Options{Channels: func(string) bool { return false }},
			reason: durableobject.RefusedChannel, level: "WARN", logs: []string{"Options.Channels"}, channel: true},
		"not authorized": {refuse: errors.New("not a member"),
			reason: durableobject.RefusedAuthorize, level: "WARN", logs: []string{"not a member"}, channel: true},
		"not authorized, with a code": {refuse: rpc.Errorf(rpc.CodeNotFound, "no such room"),
			reason: durableobject.RefusedAuthorize, level: "WARN", logs: []string{"no such room"}, channel: true},
		"not authorized, with an error that panics": {refuse: panickingError{},
			reason: durableobject.RefusedAuthorize, level: "WARN", logs: []string{"no message"}, channel: true},
		"a foreign page": {header: http.Header{"Origin": {"https://evil.example"}},
			reason: durableobject.RefusedOrigin, level: "WARN", logs: []string{"HandlerOptions.OriginPatterns", "origin=https://evil.example", "host=example.com"}},
		"not an upgrade": {header: http.Header{"Upgrade": nil},
			reason: durableobject.RefusedHandshake, level: "DEBUG", logs: []string{"Expected WebSocket upgrade"}},
		"no token": {token: func(*testing.T) string { return "" },
			reason: durableobject.RefusedRequest, level: "WARN", logs: []string{"Token is required"}},
		"no key service":   {options: durableobject.Options{Verifier: unavailable}, reason: durableobject.RefusedUnavailable},
		"Authorize panics": {refuse: nil, options: durableobject.Options{Channels: func(string) bool { panic("broken") }}, reason: durableobject.RefusedOther},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &logBook{}
				o := test.options
				o.Logger = log.logger()
				f := newFixture(t, o, &durableobject.HandlerOptions{Authorize: func(*http.Request, *payload) error { return test.refuse }})
				tok := sign(t, "room")
				if test.token != nil {
					tok = test.token(t)
				}
				f.handshake(url.Values{"id": {"a"}, "token": {tok}}, test.header)
				synctest.Wait()
				require.Equal(t, map[string]uint64{test.reason: 1}, f.rooms.Stats().Refusals)
				require.Equal(t, test.level != "", strings.Contains(log.String(), `level=`+test.level+` msg="client refused" reason=`+test.reason), log)
				for _, text := range test.logs {
					require.Contains(t, log.String(), text)
				}
				if test.level != "" {
					require.Equal(t, test.channel, strings.Contains(log.String(), "channel=room"), log)
				}
				f.end()
			})
		})
	}
}

// panickingError is an error of an application whose message cannot be computed.
type panickingError struct{}

func (panickingError) Error() string { panic("no message") }

func TestRevokedTokensAreCountedAndLogged(t *testing.T) {
	log := &logBook{}
	bubble(t, durableobject.Options{Logger: log.logger()}, func(t *testing.T, f *fixture) {
		require.NoError(t, f.rooms.Revoke(t.Context(), durableobject.Who{Channel: "room"}, time.Now().Add(time.Hour)))
		require.Equal(t, 401, f.handshake(url.Values{"id": {"a"}, "token": {sign(t, "room")}}, nil).Code)
		synctest.Wait()
		require.Equal(t, map[string]uint64{durableobject.RefusedRevoked: 1}, f.rooms.Stats().Refusals)
		require.Contains(t, log.String(), `level=WARN msg="client refused" reason=revoked`)
	})
}

// A new token of an open socket is counted in the same way as one that opens it.
func TestRefusedUpdatesAreCounted(t *testing.T) {
	log := &logBook{}
	bubble(t, durableobject.Options{Logger: log.logger()}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		require.Contains(t, c.update(""), "Invalid Token")
		require.Contains(t, c.update("garbage"), "Invalid Token")
		require.Contains(t, c.update(sign(t, "another")), "same channel")
		require.Equal(t, map[string]uint64{durableobject.RefusedMalformed: 2, durableobject.RefusedUpdate: 1}, f.rooms.Stats().Refusals)
		synctest.Wait() // for the log
		require.Contains(t, log.String(), "reason=update")
		c.drop()
	})
}

// A client can cause any number of refusals, but only one log record for each reason in 10 s.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	log := &logBook{}
	bubble(t, durableobject.Options{Logger: log.logger()}, func(t *testing.T, f *fixture) {
		refuse := func(n int, tok string) {
			for range n {
				f.handshake(url.Values{"id": {"a"}, "token": {tok}}, nil)
			}
			synctest.Wait()
		}
		records := func(reason string) int { return strings.Count(log.String(), "reason="+reason) }
		forged := sign(t, "room") + "AAAA"
		refuse(500, forged)
		require.Equal(t, 1, records(durableobject.RefusedSignature))
		require.NotContains(t, log.String(), "suppressed")
		refuse(3, "garbage")
		require.Equal(t, 1, records(durableobject.RefusedMalformed), "another reason has records of its own")
		time.Sleep(9 * time.Second)
		refuse(1, forged)
		require.Equal(t, 1, records(durableobject.RefusedSignature))
		time.Sleep(time.Second)
		refuse(1, forged)
		require.Equal(t, 2, records(durableobject.RefusedSignature))
		require.Contains(t, log.String(), "suppressed=500")
		require.EqualValues(t, 502, f.rooms.Stats().Refusals[durableobject.RefusedSignature])
	})
}

// The errors of a verifier may repeat the token.
func TestRefusedTokensAreNotLogged(t *testing.T) {
	for name, format := range map[string]string{"plain": "the token %s: %w", "quoted": "the token %q: %w", "escaped": "the address ?token=%s: %w"} {
		log := &logBook{}
		o := durableobject.Options{Logger: log.logger(), Verifier: verifierFunc(func(_ context.Context, tok string) (*token.Payload, error) {
			if name == "escaped" {
				tok = url.QueryEscape(tok)
			}
			return nil, fmt.Errorf(format, tok, token.ErrSignature)
		})}
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, o, nil)
			tok := sign(t, "room")
			f.handshake(url.Values{"id": {"a"}, "token": {tok}}, nil)
			synctest.Wait()
			require.Contains(t, log.String(), "reason=signature", name)
			require.Contains(t, log.String(), "[redacted]", name)
			require.NotContains(t, log.String(), tok[strings.LastIndexByte(tok, '.')+1:], name)
			f.end()
		})
	}
}
