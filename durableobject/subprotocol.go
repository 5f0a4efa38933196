package durableobject

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
)

// A page in a browser can send no header but Sec-WebSocket-Protocol, and cannot see
// an answer that is no upgrade. A client that offers the subprotocol below may send its
// token in that header too, and is refused by a close frame.
const (
	// headerSubprotocol is the canonical name of that header.
	headerSubprotocol = "Sec-Websocket-Protocol"
	// subprotocol is what such a client offers, and the server selects.
	subprotocol = "durable-iterator"
	// tokenProtocol begins another one, which has the token in base64url. It is never
	// selected, as the answer would repeat the token.
	tokenProtocol = "token."

	// statusRefused plus the HTTP status of a refusal is the close code of it.
	statusRefused = 4000
	// refusalTimeout is how long a client has to read the reason.
	refusalTimeout = time.Second
	// maxRefusals is how many connections of refused clients a namespace keeps open at
	// once. Beyond it they are answered with the status alone.
	maxRefusals = 256
	// refusalMessage bounds what such a client may send: nothing is read.
	refusalMessage = 1 << 10
)

// offeredProtocols returns whether a request offers our subprotocol, and the token among
// the others, empty if there is none. A token of more than limit bytes is not decoded.
func offeredProtocols(r *http.Request, limit int) (ours bool, tok string) {
	for _, line := range r.Header.Values(headerSubprotocol) {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			encoded, isToken := strings.CutPrefix(name, tokenProtocol)
			switch {
			case name == subprotocol:
				ours = true
			case isToken:
				tok = decodeToken(encoded, limit)
			}
		}
	}
	return ours, tok
}

// decodeToken returns a token that was encoded for a header. One that is too long is
// returned unchanged, to be refused for that, and one that cannot be decoded with its
// prefix, so that no verifier accepts it: a JWT that is sent as it is must not work only
// until it has a character that the header cannot have.
func decodeToken(encoded string, limit int) string {
	if base64.RawURLEncoding.DecodedLen(len(encoded)) > limit {
		return encoded
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return tokenProtocol + encoded
	}
	return string(raw)
}

// refuseOpenly refuses a client that offers the subprotocol, in a way that a page can
// see: the WebSocket is opened, and closed with a code that has the status in it. It
// reports false, and has answered nothing, if that has to be done by the status alone.
func (c *core) refuseOpenly(w http.ResponseWriter, r *http.Request, o socket.Options, e *rpc.Error) bool {
	if c.refusals.Add(1) > maxRefusals {
		c.refusals.Add(-1)
		return false
	}
	if !c.enter() {
		c.refusals.Add(-1)
		return false
	}
	o.ReadLimit = refusalMessage
	refused := &refusedConn{core: c}
	if err := refused.conn.Accept(w, r, c.pool, refused, o); err != nil { // Accept has answered
		c.logger.Log(r.Context(), socket.RefusalLevel(err), "upgrade refused", "err", err)
		refused.Ended(0)
		return true
	}
	refused.conn.Close(statusRefused+e.Status, e.Message)
	refused.drop = time.AfterFunc(refusalTimeout, refused.conn.Kill)
	refused.conn.Serve(refused)
	return true
}

// refusedConn is the connection of a client that is refused by a close frame. It implements
// [socket.Source] and [socket.Handler], and sends and reads nothing.
type refusedConn struct {
	core *core
	conn socket.Conn
	drop *time.Timer // nil until it is served
}

func (*refusedConn) Pull(*socket.Batch, bool) socket.More { return socket.None }
func (*refusedConn) Visit(time.Time) (again time.Time)    { return again }
func (*refusedConn) Receive([]byte, bool) (run func())    { return nil }
func (*refusedConn) Closing()                             {}

// Ended implements [socket.Handler].
func (f *refusedConn) Ended(int) {
	if f.drop != nil {
		f.drop.Stop()
	}
	f.core.refusals.Add(-1)
	f.core.users.Done()
}
