package client

import (
	"cmp"
	"encoding/base64"
	"net/url"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

// TokenPlace is where a client puts its token in the request that opens a WebSocket.
type TokenPlace int

const (
	// TokenInURL puts the token into the query of the address, as oRPC's client does. A
	// server of oRPC reads it nowhere else. Proxies log addresses.
	TokenInURL TokenPlace = iota + 1
	// TokenInSubprotocol puts the token into the header Sec-WebSocket-Protocol, out of
	// addresses and logs. A server of this library then refuses the client by a close
	// frame, whose code is 4000 plus the status, which a browser can see.
	TokenInSubprotocol
)

// The subprotocols that are offered with [TokenInSubprotocol]: the first is selected by the
// server, the second has the token in base64url.
const (
	subprotocol   = "durable-iterator"
	tokenProtocol = "token."
)

func (p TokenPlace) valid() bool { return p >= 0 && p <= TokenInSubprotocol }

// withDefault returns where the token is put by default: in a browser only the subprotocol
// lets the client learn that it was refused.
func (p TokenPlace) withDefault() TokenPlace {
	if dial.InBrowser {
		return cmp.Or(p, TokenInSubprotocol)
	}
	return cmp.Or(p, TokenInURL)
}

// put returns the address at which a socket is opened, and the subprotocols that are
// offered.
func (p TokenPlace) put(u *url.URL, id, tok string) (address *url.URL, subprotocols []string) {
	parameters := "id=" + url.QueryEscape(id)
	if p == TokenInURL {
		return withParameters(u, parameters+"&token="+url.QueryEscape(tok)), nil
	}
	return withParameters(u, parameters), []string{
		subprotocol, tokenProtocol + base64.RawURLEncoding.EncodeToString([]byte(tok)),
	}
}
