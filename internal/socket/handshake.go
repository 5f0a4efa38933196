package socket

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// HandshakeError is why a request cannot open a WebSocket.
type HandshakeError struct {
	Status  int
	Message string
}

// Error returns the message.
func (e *HandshakeError) Error() string { return "socket: " + e.Message }

// CheckHandshake returns why Accept would refuse a request for what it asks or where
// it comes from, nil if it would not, for callers that have something to do before
// Accept that only a good request is worth. Accept alone checks version and key. What
// the refusal needs is set in header.
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

// The headers of a handshake, by their canonical names, which are found without a copy.
const (
	headerKey         = "Sec-Websocket-Key"
	headerVersion     = "Sec-Websocket-Version"
	headerSubprotocol = "Sec-Websocket-Protocol"
	headerAccept      = "Sec-Websocket-Accept"
)

// version is that of RFC 6455, the only one there is.
const version = "13"

// keyBytes is the size of what a key encodes.
const keyBytes = 16

// checkKey refuses a request whose version or key is not that of RFC 6455.
func checkKey(header http.Header, r *http.Request) *HandshakeError {
	if r.Header.Get(headerVersion) != version {
		header.Set(headerVersion, version)
		return &HandshakeError{http.StatusBadRequest, "Unsupported WebSocket version"}
	}
	keys := r.Header[headerKey]
	if len(keys) == 1 {
		if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err == nil && len(key) == keyBytes {
			return nil
		}
	}
	return &HandshakeError{http.StatusBadRequest, "Expected one Sec-WebSocket-Key of 16 bytes"}
}

// answerHeaders are what setAnswer sets.
var answerHeaders = []string{"Connection", "Upgrade", headerAccept, headerSubprotocol}

// setAnswer sets what the answer to a good request needs.
func setAnswer(header http.Header, r *http.Request, subprotocols []string) {
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	header.Set(headerAccept, acceptKey(r.Header.Get(headerKey)))
	if name := selectSubprotocol(r, subprotocols); name != "" {
		header.Set(headerSubprotocol, name)
	}
}

// acceptKey returns the answer to a key. It proves that the server speaks WebSocket, and
// nothing else.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(strings.TrimSpace(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// selectSubprotocol returns the first of names that the client offers, as it spells it,
// empty if it offers none.
func selectSubprotocol(r *http.Request, names []string) string {
	for _, name := range names {
		for _, line := range r.Header[headerSubprotocol] {
			for offered := range strings.SplitSeq(line, ",") {
				if offered = strings.TrimSpace(offered); strings.EqualFold(offered, name) {
					return offered
				}
			}
		}
	}
	return ""
}

// CheckOriginPattern returns an error for a pattern that cannot match anything.
func CheckOriginPattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf("socket: empty origin pattern: %w", path.ErrBadPattern)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("socket: origin pattern %q: %w", pattern, err)
	}
	return nil
}

// allowsOrigin compares without regard to case. A pattern with "://" is compared with
// scheme and host.
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

// hasToken reports whether a header that is a list has a token in it.
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
