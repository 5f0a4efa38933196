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

// The default and the maximum of HistoryOptions.Limit.
const (
	DefaultHistoryLimit = 100
	MaxHistoryLimit     = 1000
)

// HistoryNewest is the value of [HistoryOptions].Before for the newest page.
const HistoryNewest = fanout.Newest

// HistoryOptions selects a page of a history. The zero HistoryOptions selects the oldest.
type HistoryOptions struct {
	// After is the id of the event after which the page begins, with the oldest event
	// first. Empty or "0" means the beginning.
	After string

	// Before is the id of the event before which the page begins, with the newest event
	// first. HistoryNewest, "newest", means the end. Empty means to read forwards. It is an
	// error if After is set too.
	Before string

	// Limit is the maximum number of events of the page. 0 means 100; the maximum is 1000.
	Limit int

	// For selects the events that are for the client of this socket, by its tags and its
	// recipient, as a replay does. It must be a socket of the object, and may be closed. Nil
	// selects all events.
	For *Websocket
}

// HistoryEvent is an event as it was stored.
type HistoryEvent[T any] struct {
	ID    string // the event id
	Time  time.Time
	Event T
	Meta  rpc.EventMeta // as it was published, without an ID

	// Audience selects the clients that the event is for. It may contain the ids of other
	// clients, so do not send it to clients.
	Audience eventlog.Audience
}

// Page is a part of a history.
type Page[T any] struct {
	Events []HistoryEvent[T]

	// Next is the value of After or Before, whichever was set, for the next page. It is
	// empty if there are no more events.
	Next string

	// Truncated is set if events after After are missing, or may be, or if the log does not
	// know Before, for example because it is in memory and the process was restarted. The
	// page then begins with the oldest or the newest event that is retained.
	Truncated bool
}

// History returns a page of the events that the log retains of the object, whichever node has
// published them: forwards after an event, or backwards before one. It includes events older
// than Options.ResumeRetention, which are not replayed, as long as the log has them. Clients
// read the history with a method of the application, which passes their socket as
// HistoryOptions.For. oRPC has no counterpart.
//
// A page ends at its limit, at 1 MiB of events, unless a single one is larger, and after
// 10,000 events or 8 MiB were read, including events for others. So a page with few events, or
// none, may have a Next. Reading the newest page of a long history does not take longer than
// that of a short one.
//
// If an event cannot be decoded as a T, the error contains its id, the page has the events
// before it, and Next continues after it. Other errors are those of ctx, of the log and of
// invalid options, [ErrNotKept] and [ErrForeignWebsocket]; the page is then empty.
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

// past reads the records of a page. The channel is not pinned when it returns, so that code of
// the application may run.
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

// decodeRecord decodes the event and the metadata of a record. Serializers and types of the
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
