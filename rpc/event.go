package rpc

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// ErrEventMeta is wrapped by the error of an [EventMeta] that cannot be sent.
var ErrEventMeta = errors.New("rpc: event metadata")

// EventMeta is what an event carries besides its value: oRPC's event metadata.
// The zero EventMeta is none.
type EventMeta struct {
	// ID names the event, so that a stream can go on behind it. Empty is none.
	// It has no line break.
	ID string
	// Retry asks the client to wait that long before it connects again. It is
	// sent in whole milliseconds, rounded down; less than one is an error. 0 is none.
	Retry time.Duration
	// Comments are for people who read the wire. None has a line break.
	Comments []string
}

// Event is an event of a stream with its metadata.
type Event[T any] struct {
	Data T
	Meta EventMeta
}

// Validate tells whether the metadata can be sent. If not, the error wraps
// [ErrEventMeta].
func (m EventMeta) Validate() error {
	switch {
	case strings.ContainsAny(m.ID, "\r\n"):
		return fmt.Errorf("%w: id %q has a line break", ErrEventMeta, m.ID)
	case m.Retry < 0:
		return fmt.Errorf("%w: retry %v is negative", ErrEventMeta, m.Retry)
	case m.Retry > 0 && m.Retry < time.Millisecond:
		// It would be sent as 0: clients would come back without any pause.
		return fmt.Errorf("%w: retry %v is less than a millisecond", ErrEventMeta, m.Retry)
	}
	for _, comment := range m.Comments {
		if strings.ContainsAny(comment, "\r\n") {
			return fmt.Errorf("%w: comment %q has a line break", ErrEventMeta, comment)
		}
	}
	return nil
}

// peerMeta gives the metadata in the form of the peer protocol, checked.
func (m EventMeta) peerMeta() (peer.EventMeta, error) {
	if err := m.Validate(); err != nil {
		return peer.EventMeta{}, err
	}
	p := peer.EventMeta{ID: m.ID, HasID: m.ID != ""}
	if m.Retry > 0 {
		ms := m.Retry.Milliseconds()
		p.Retry = &ms
	}
	if len(m.Comments) > 0 {
		p.Comments = m.Comments
	}
	return p, nil
}

// eventMeta reads metadata as it came. What an EventMeta cannot tell apart from
// nothing, an empty id or a retry of 0, is nothing.
func eventMeta(p peer.EventMeta) EventMeta {
	m := EventMeta{ID: p.ID}
	if p.Retry != nil {
		m.Retry = time.Duration(min(*p.Retry, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	if len(p.Comments) > 0 {
		m.Comments = p.Comments
	}
	return m
}
