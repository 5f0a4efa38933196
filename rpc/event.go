package rpc

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// ErrEventMeta is wrapped by the error of an [EventMeta] that cannot be sent.
var ErrEventMeta = errors.New("rpc: event metadata")

// EventMeta is the metadata of an event: oRPC's event metadata.
// The zero EventMeta is none.
type EventMeta struct {
	// ID identifies the event, so that a stream can resume after it. Empty is none.
	// It is sent back in an HTTP header, so it is UTF-8 without control characters,
	// and without white space at either end.
	ID string
	// Retry asks the client to wait that long before it connects again. It is
	// sent in whole milliseconds, rounded down; less than one is an error. 0 is none.
	Retry time.Duration
	// RetryNow asks the client to connect again without a pause: the retry of 0 that
	// Retry cannot express. Retry must be 0 then. An original client tries without end
	// and without any pause; one of this module waits as long as for an event that
	// does not have one.
	RetryNow bool
	// Comments are for people who read the messages. Each is UTF-8 without control
	// characters other than tabs.
	Comments []string
}

// Event is an event of a stream with its metadata.
type Event[T any] struct {
	Data T
	Meta EventMeta
}

// Validate reports whether the metadata can be sent. If not, the error wraps
// [ErrEventMeta].
func (m EventMeta) Validate() error {
	switch {
	case !isPrintable(m.ID) || strings.Contains(m.ID, "\t"):
		return fmt.Errorf("%w: id %q has a control character or is not UTF-8", ErrEventMeta, m.ID)
	case strings.TrimSpace(m.ID) != m.ID:
		return fmt.Errorf("%w: id %q begins or ends with white space", ErrEventMeta, m.ID)
	case m.Retry < 0:
		return fmt.Errorf("%w: retry %v is negative", ErrEventMeta, m.Retry)
	case m.Retry > 0 && m.Retry < time.Millisecond:
		// It would be sent as 0: clients would come back without any pause.
		return fmt.Errorf("%w: retry %v is less than a millisecond", ErrEventMeta, m.Retry)
	case m.RetryNow && m.Retry != 0:
		return fmt.Errorf("%w: retry is both now and %v", ErrEventMeta, m.Retry)
	}
	for _, comment := range m.Comments {
		if !isPrintable(comment) {
			return fmt.Errorf("%w: comment %q has a control character or is not UTF-8", ErrEventMeta, comment)
		}
	}
	return nil
}

// isPrintable reports whether text is UTF-8 without control characters other than tabs.
func isPrintable(text string) bool {
	return utf8.ValidString(text) &&
		strings.IndexFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) < 0
}

// peerMeta returns the metadata in the form of the peer protocol, checked.
func (m EventMeta) peerMeta() (peer.EventMeta, error) {
	if err := m.Validate(); err != nil {
		return peer.EventMeta{}, err
	}
	p := peer.EventMeta{ID: m.ID, HasID: m.ID != ""}
	if m.Retry > 0 || m.RetryNow {
		ms := m.Retry.Milliseconds()
		p.Retry = &ms
	}
	if len(m.Comments) > 0 {
		p.Comments = m.Comments
	}
	return p, nil
}

// eventMeta reads metadata as it came. An empty id is none.
func eventMeta(p peer.EventMeta) EventMeta {
	m := EventMeta{ID: p.ID}
	if p.Retry != nil {
		m.RetryNow = *p.Retry == 0
		m.Retry = time.Duration(min(*p.Retry, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	if len(p.Comments) > 0 {
		m.Comments = p.Comments
	}
	return m
}
