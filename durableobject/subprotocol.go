package durableobject

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Pages in browsers can set only the header Sec-WebSocket-Protocol, and cannot read a response that
// refuses the upgrade. A client that offers the subprotocol below may send its token in that header,
// and is refused with a close frame.
const (
	// headerSubprotocol is the canonical name of that header.
	headerSubprotocol = "Sec-Websocket-Protocol"
	// subprotocol is the subprotocol that such a client offers and the server selects.
	subprotocol = "durable-iterator"
	// tokenProtocol is the prefix of another one, which has the token in base64url. It is
	// never selected, because the response would then contain the token.
	tokenProtocol = "token."

	// statusRefused plus an HTTP status is the close code of a refusal with that status.
	statusRefused = 4000
	// refusalTimeout is how long a client may take to read the close frame.
	refusalTimeout = time.Second
	// maxRefusals is the maximum number of open connections of refused clients of a
	// namespace. Further clients are refused with a status only.
	maxRefusals = 256
	// refusalMessage is the read limit of such a connection, whose messages are ignored.
	refusalMessage = 1 << 10
)

// offeredProtocols reports whether a request offers subprotocol, and returns the token in another
// one, or "". A token of more than limit bytes is not decoded.
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

// decodeToken decodes a token in a subprotocol. If it is too long, it is returned unchanged, and is
// refused because of its size. If it cannot be decoded, it is returned with its prefix, so that it is
// always refused: a JWT that is not encoded must not be accepted, because it would work only as long
// as it has no character that is invalid in the header.
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

// refuseOpenly refuses a client that offers the subprotocol in a way that browsers report: it opens
// the WebSocket and closes it with a code that contains the status. It returns false, without having
// sent a response, if the client must be refused with a status only.
func (c *core) refuseOpenly(w http.ResponseWriter, r *http.Request, o socket.Options, e *rpc.Error) bool {
	if c.refusedConns.Add(1) > maxRefusals {
		c.refusedConns.Add(-1)
		return false
	}
	if !c.enter() {
		c.refusedConns.Add(-1)
		return false
	}
	o.ReadLimit = refusalMessage
	refused := &refusedConn{core: c}
	if err := refused.conn.Accept(w, r, c.pool, refused, o); err != nil { // Accept has sent the response
		c.logger.Log(r.Context(), socket.RefusalLevel(err), "upgrade refused", "err", err)
		refused.Ended(0)
		return true
	}
	refused.conn.Close(statusRefused+e.Status, e.Message)
	refused.drop = time.AfterFunc(refusalTimeout, refused.conn.Kill)
	refused.conn.Serve(refused)
	return true
}

// refusedConn is the connection of a client that is refused with a close frame. It implements
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
	f.core.refusedConns.Add(-1)
	f.core.users.Done()
}
