package client

import (
	"cmp"
	"encoding/base64"
	"net/url"

	"github.com/go-orpc/durable-iterator/internal/dial"
)

// TokenPlace is the place of the token in the request that opens a WebSocket.
type TokenPlace int

const (
	// TokenInURL puts the token into the query of the address, as oRPC's client does. It
	// is the only place that servers of oRPC support. Proxies often log addresses.
	TokenInURL TokenPlace = iota + 1
	// TokenInSubprotocol puts the token into the header Sec-WebSocket-Protocol, so that
	// it is not in addresses and logs. A server of this library then refuses a client
	// with a close frame, whose code is 4000 plus the status and which browsers report.
	TokenInSubprotocol
)

// The subprotocols of [TokenInSubprotocol]: the server selects the first; the second has the
// token in base64url.
const (
	subprotocol   = "durable-iterator"
	tokenProtocol = "token."
)

func (p TokenPlace) valid() bool { return p >= 0 && p <= TokenInSubprotocol }

// withDefault returns p or, if it is 0, the default: in a browser a client can find out that
// it was refused only with the subprotocol.
func (p TokenPlace) withDefault() TokenPlace {
	if dial.InBrowser {
		return cmp.Or(p, TokenInSubprotocol)
	}
	return cmp.Or(p, TokenInURL)
}

// put returns the address and the subprotocols with which a socket is opened.
func (p TokenPlace) put(u *url.URL, id, tok string) (address *url.URL, subprotocols []string) {
	parameters := "id=" + url.QueryEscape(id)
	if p == TokenInURL {
		return withParameters(u, parameters+"&token="+url.QueryEscape(tok)), nil
	}
	return withParameters(u, parameters), []string{
		subprotocol, tokenProtocol + base64.RawURLEncoding.EncodeToString([]byte(tok)),
	}
}
