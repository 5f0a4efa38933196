package sse

import "github.com/go-orpc/durable-iterator/internal/peer"

// Message is one item of an event stream: an event, or comments alone.
type Message struct {
	Event peer.EventKind // the name of the event, which may be any text; empty: absent
	Data  []byte         // nil: absent; empty is a text of its own
	Meta  peer.EventMeta
}

// Kind says what the message means to an event stream of oRPC. A message without
// a name is an event if it has data, and the name close is another word for
// done. If ok is false, the message means nothing and is to be skipped: it is
// only a comment, or an event that oRPC does not know.
func (m *Message) Kind() (kind peer.EventKind, ok bool) {
	switch m.Event {
	case peer.EventMessage, peer.EventError, peer.EventDone:
		return m.Event, true
	case "close":
		return peer.EventDone, true
	case "":
		return peer.EventMessage, m.Data != nil
	default:
		return "", false
	}
}
