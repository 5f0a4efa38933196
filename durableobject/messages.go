package durableobject

import (
	"bytes"
	"encoding/json"
)

// Kinds of the messages that nodes send each other. They are for all nodes unless the table names
// one.
//
//	hello           a node has started to listen; the others respond with theirs
//	beat            sent periodically by each node. With presence, it has the number of the
//	                node's last change, and the nodes that it knows
//	bye             a node has shut down
//	question        a question to the other nodes, or repeated to one that has not answered
//	answer          to the node that has asked
//	revoked         a revocation was stored
//
// These are about presence. Each node numbers its changes.
//
//	claims changed  some claims of the sender, with the number of the change
//	claims wanted   asks one node for all its claims; with Of, asks all for those of node Of
//	claims          a part of all claims of the sender; with Of, to the node that has asked,
//	                of those of node Of
//	buried          to a node that was heard again after the others have dropped its claims
const (
	kindHello    = "hello"
	kindBeat     = "beat"
	kindBye      = "bye"
	kindQuestion = "question"
	kindAnswer   = "answer"
	kindRevoked  = "revoked"

	kindChanged = "claims changed"
	kindWanted  = "claims wanted"
	kindClaims  = "claims"
	kindBuried  = "buried"
)

// message is a message of a node.
type message struct {
	Kind string          `json:"kind"`
	From string          `json:"from"`
	Born int64           `json:"born"`         // when the node was started, in Unix nanoseconds
	To   string          `json:"to,omitempty"` // empty means all nodes
	Data json.RawMessage `json:"data,omitempty"`
}

// encodeJSON returns v as JSON without the escapes for HTML, which make it up to six times as
// large.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
