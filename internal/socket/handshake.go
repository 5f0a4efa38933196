package socket

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/weborigin"
)

// HandshakeError describes why a request cannot open a WebSocket.
type HandshakeError struct {
	Status  int
	Message string
}

// Error returns the message.
func (e *HandshakeError) Error() string { return "socket: " + e.Message }

// CheckHandshake reports whether Accept would refuse a request because of its method,
// headers or origin. It returns nil if not. Callers use it before costly work that only a
// valid request is worth. Only Accept checks the version and the key. CheckHandshake sets
// the fields of header that the answer needs.
func CheckHandshake(header http.Header, r *http.Request, o Options) *HandshakeError {
	switch {
	case !r.ProtoAtLeast(1, 1) || !hasToken(r.Header, "Upgrade", "websocket") || !hasToken(r.Header, "Connection", "upgrade"):
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "websocket")
		return &HandshakeError{http.StatusUpgradeRequired, "Expected WebSocket upgrade"}
	case r.Method != http.MethodGet:
		header.Set("Allow", http.MethodGet)
		return &HandshakeError{http.StatusMethodNotAllowed, "Expected a GET request"}
	case !o.AnyOrigin && !allowsOrigin(r, o.OriginPatterns):
		return &HandshakeError{http.StatusForbidden, "Origin is not allowed"}
	}
	return nil
}

// CheckOriginPattern returns an error for a pattern that cannot match anything.
func CheckOriginPattern(pattern string) error {
	if err := weborigin.CheckPattern(pattern); err != nil {
		return fmt.Errorf("socket: origin %w", err)
	}
	return nil
}

// allowsOrigin reports whether the request's origin is its own host or matches a pattern,
// ignoring case. A pattern with "://" is matched against scheme and host.
func allowsOrigin(r *http.Request, patterns []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if strings.EqualFold(r.Host, u.Host) {
		return true
	}
	for _, pattern := range patterns {
		target := u.Host
		if strings.Contains(pattern, "://") {
			target = u.Scheme + "://" + u.Host
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(target)); ok && err == nil {
			return true
		}
	}
	return false
}

// hasToken reports whether the comma-separated header contains the token, ignoring case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(element), token) {
				return true
			}
		}
	}
	return false
}
