package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Bounds of HistoryOptions.Limit.
const (
	DefaultHistoryLimit = 100
	MaxHistoryLimit     = 1000
)

// HistoryNewest is the Before of [HistoryOptions] that asks for the newest page.
const HistoryNewest = fanout.Newest

// HistoryOptions selects a page of a history. The zero HistoryOptions selects the oldest.
type HistoryOptions struct {
	// After is the event id after which the page begins, oldest first. Empty, and "0", is
	// the beginning.
	After string

	// Before is the event id before which the page begins, newest first: that of an event
	// is not part of it. HistoryNewest, which is "newest", is the end. Empty reads
	// forwards. It is an error if After is set too.
	Before string

	// Limit is how many events the page has at most: 0 is 100, and 1000 is the most.
	Limit int

	// For selects the events that are for the client of this socket, as a replay does: by
	// its tags and its recipient. It may be closed, and must be a socket of the object. Nil
	// selects all events.
	For *Websocket
}

// HistoryEvent is an event as it was stored.
type HistoryEvent[T any] struct {
	ID    string // its event id
	Time  time.Time
	Event T
	Meta  rpc.EventMeta // as it was published, without an ID

	// Audience selects the clients that the event is for. It names others than the one
	// that asks, so it is nothing to be sent to clients.
	Audience eventlog.Audience
}

// Page is a part of a history.
type Page[T any] struct {
	Events []HistoryEvent[T]

	// Next is After or Before of the next page, whichever this one had. It is empty if
	// there are no more events now.
	Next string

	// Truncated is set if events after After are gone, or may be, or if the log does not
	// know Before, for instance because it was in memory and the process was restarted. Then the
	// page begins with the oldest or the newest event that is retained.
	Truncated bool
}

// History returns a page of the events that the log retains of the object, wherever they
// were published: forwards after an event, or backwards before one. Events older than
// Options.ResumeRetention, which are not replayed, are part of it as long as the log has
// them. Clients read a history through a method of the application, which passes its
// socket as HistoryOptions.For. oRPC has nothing like it.
//
// A page ends after its limit, at 1 MiB of events, unless a single one is larger, and after
// 10,000 events or 8 MiB that were looked at, for the client or not. So one with few events, or
// none, may have a Next. Reading the newest page takes as long for a long history as for a
// short one.
//
// If an event cannot be decoded as a T, the error names its id, and the page has the events
// before it and a Next after it. Other errors are those of ctx, the log and the options,
// [ErrNotKept] and [ErrForeignWebsocket]; their page is empty.
func (o *Object[T]) History(ctx context.Context, h HistoryOptions) (Page[T], error) {
	page, err := o.history(ctx, h)
	if err != nil {
		err = fmt.Errorf("durableobject: history: %w", err)
	}
	return page, err
}

func (o *Object[T]) history(ctx context.Context, h HistoryOptions) (Page[T], error) {
	past, err := o.channels.past(ctx, o.name, h)
	if err != nil {
		return Page[T]{}, err
	}
	page := Page[T]{Next: past.Next, Truncated: past.Truncated, Events: make([]HistoryEvent[T], 0, len(past.Records))}
	for _, rec := range past.Records {
		e := HistoryEvent[T]{ID: rec.Position().String(), Time: rec.Time, Audience: rec.Audience}
		if err := o.channels.core.decodeRecord(rec, &e.Event, &e.Meta); err != nil {
			page.Next = e.ID
			return page, fmt.Errorf("event %s: %w", e.ID, err)
		}
		page.Events = append(page.Events, e)
	}
	return page, nil
}

// past reads the records of a page. Nothing is pinned, so code of the application may run
// after it.
func (c *channels) past(ctx context.Context, name string, h HistoryOptions) (fanout.Past, error) {
	q := fanout.Query{After: h.After, Before: h.Before, Limit: h.Limit}
	switch {
	case c.core.log == nil:
		return fanout.Past{}, ErrNotKept
	case h.After != "" && h.Before != "":
		return fanout.Past{}, errors.New("both After and Before are set")
	case h.Limit < 0 || h.Limit > MaxHistoryLimit:
		return fanout.Past{}, fmt.Errorf("limit %d is not between 0 and %d", h.Limit, MaxHistoryLimit)
	case h.Limit == 0:
		q.Limit = DefaultHistoryLimit
	}
	if ws := h.For; ws != nil {
		if ws.ch == nil || ws.ch.core != c.core || ws.ch.name != name {
			return fanout.Past{}, ErrForeignWebsocket
		}
		q.Includes = ws.reader.Includes
	}
	past, err := fanout.ReadPast(ctx, c.core.log, name, q)
	if c.core.ownLog && errors.Is(err, eventlog.ErrClosed) {
		err = ErrClosed
	}
	return past, err
}

// decodeRecord decodes what a record was published with. Serializers and types of the
// application may panic in it.
func (c *core) decodeRecord(rec *eventlog.Record, event any, meta *rpc.EventMeta) (err error) {
	defer bridge.RecoverTo(&err)
	if err := c.serializer.Decode(rec.Data, event); err != nil || len(rec.Meta) == 0 {
		return err
	}
	var stored struct {
		Retry    *int64   `json:"retry"` // in milliseconds
		Comments []string `json:"comments"`
	}
	if err := json.Unmarshal([]byte("{"+string(rec.Meta)+"}"), &stored); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	meta.Comments = stored.Comments
	if stored.Retry != nil {
		meta.Retry = time.Duration(min(*stored.Retry, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		meta.RetryNow = *stored.Retry == 0
	}
	return nil
}
