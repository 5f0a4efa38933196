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

// ErrEventMeta is wrapped by errors about an invalid [EventMeta].
var ErrEventMeta = errors.New("event metadata")

// EventMeta is the metadata of an event. The zero EventMeta means no metadata.
type EventMeta struct {
	// ID identifies the event, so that a stream can resume after it. Empty means no id. Since
	// clients send it in an HTTP header, it must be UTF-8 without control characters, and
	// without white space at either end.
	ID string
	// Retry asks the client to wait for this time before it reconnects. It is sent in whole
	// milliseconds, rounded down. Values between 0 and 1 ms are invalid. 0 means no retry.
	Retry time.Duration
	// RetryNow asks the client to reconnect without a pause. It is sent as a retry of 0, which
	// Retry cannot express; Retry must then be 0. oRPC's client retries forever without any
	// pause; clients of this module ignore it.
	RetryNow bool
	// Comments are for people who read the messages. Each must be UTF-8 without control
	// characters other than tabs.
	Comments []string
}

// Event is an event of a stream with its metadata.
type Event[T any] struct {
	Data T
	Meta EventMeta
}

// Validate returns an error that wraps [ErrEventMeta] if the metadata is invalid.
func (m EventMeta) Validate() error {
	if err := m.check(); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return nil
}

func (m EventMeta) check() error {
	switch {
	case !isPrintable(m.ID) || strings.Contains(m.ID, "\t"):
		return fmt.Errorf("%w: id %q has a control character or is not UTF-8", ErrEventMeta, m.ID)
	case strings.TrimSpace(m.ID) != m.ID:
		return fmt.Errorf("%w: id %q begins or ends with white space", ErrEventMeta, m.ID)
	case m.Retry < 0:
		return fmt.Errorf("%w: retry %v is negative", ErrEventMeta, m.Retry)
	case m.Retry > 0 && m.Retry < time.Millisecond:
		// It would be sent as 0, and clients would reconnect without any pause.
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

// isPrintable reports whether text is UTF-8 and has no control characters other than tabs.
func isPrintable(text string) bool {
	return utf8.ValidString(text) &&
		strings.IndexFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) < 0
}

// peerMeta validates the metadata and converts it to the form of the peer protocol.
func (m EventMeta) peerMeta() (peer.EventMeta, error) {
	if err := m.check(); err != nil {
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

// eventMeta converts received metadata. An empty id counts as none.
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
