package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// An origin that no browser sends would never match.
func TestOriginsThatNeverMatch(t *testing.T) {
	t.Parallel()
	for origin, sent := range map[string]bool{
		"https://app.example.com":       true,
		"https://app.example.com:8443":  true,
		"http://localhost:443":          true,
		"https://127.0.0.1:80":          true,
		"http://[::1]:3000":             true,
		"https://xn--bcher-kva.example": true,
		"capacitor://localhost":         true,
		"chrome-extension://abcdef":     true,
		"https://App.example.com":       false,
		"HTTPS://app.example.com":       false,
		"https://app.example.com:443":   false,
		"http://app.example.com:80":     false,
		"https://app.example.com:":      false,
		"https://app.example.com:08443": false,
		"https://bücher.example":        false,
		"https://b%C3%BCcher.example":   false,
		"http://[0:0:0:0:0:0:0:1]":      false,
	} {
		for name, o := range map[string]*rpc.HandlerOptions{
			"CORSPlugin":     {Plugins: []rpc.HandlerPlugin{&rpc.CORSPlugin{Origins: []string{origin}}}},
			"TrustedOrigins": {TrustedOrigins: []string{origin}},
		} {
			check := require.Panics
			if sent {
				check = require.NotPanics
			}
			check(t, func() { rpc.NewHandler(rpc.NewRouter(), o) }, "%s: %s", name, origin)
		}
	}
}
