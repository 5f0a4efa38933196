package weborigin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/weborigin"
)

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"app.example.com":              "",
		"app.example.com:443":          "", // http://app.example.com:443
		"*.example.com":                "",
		"*":                            "",
		"*:8080":                       "",
		"localhost:*":                  "",
		"HTTPS://App.Example.com":      "",
		"https://*.example.com:8443":   "",
		"https://*":                    "",
		"http*://app.example.com":      "",
		"*://app.example.com":          "",
		"https://app[0-9].example.com": "",
		`https://\[::1\]:8080`:         "",
		"chrome-extension://abcdefgh":  "",
		"":                             "syntax error in pattern",
		"[":                            "syntax error in pattern",
		`app\`:                         "syntax error in pattern",
		"https://app.example.com/":     "path",
		"https://*.example.com/*":      "path",
		"app.example.com/":             "path",
		"https://app.example.com#top":  "fragment",
		"https://app.example.com:443":  "browsers send it without the port of the scheme",
		"HTTP://app.example.com:80":    "browsers send it without the port of the scheme",
		"https://*.example.com:443":    "browsers send it without the port of the scheme",
		"https://bücher.example":       "browsers send the host in ASCII",
		"bücher.example":               "browsers send the host in ASCII",
		"wss://app.example.com":        "http or https",
		"https://":                     "host",
	} {
		err := weborigin.CheckPattern(pattern)
		if want == "" {
			require.NoError(t, err, pattern)
			continue
		}
		require.ErrorContains(t, err, want, pattern)
		require.ErrorContains(t, err, pattern, pattern)
	}
}
