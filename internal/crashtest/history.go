package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// history is a sequence of events, as a client has received them or as the log stores
// them.
type history struct {
	entries  []entry
	disorder []error // events that were not in order

	seq  uint64       // of the newest entry
	last map[int]mark // by publisher
}

type entry struct {
	id   string
	mark mark
}

func newHistory() *history { return &history{last: map[int]mark{}} }

// add adds the next event. Its id must be greater than the last, and its mark must be the
// next one of its publisher, or the first one in a later run of the server.
func (h *history) add(id string, e event) {
	position, ok := eventlog.ParsePosition(id)
	if !ok || position.Seq <= h.seq {
		h.faultf("id %q of event %v comes after number %d", id, e.Mark, h.seq)
	}
	last := h.last[e.Mark.Publisher]
	follows := e.Mark.Run == last.Run && e.Mark.Number == last.Number+1 ||
		e.Mark.Run > last.Run && e.Mark.Number == 1
	if !follows {
		h.faultf("event %v comes after %v", e.Mark, last)
	}
	if e != e.Mark.event() {
		h.faultf("event %v has another text than was published", e.Mark)
	}
	h.seq, h.last[e.Mark.Publisher] = position.Seq, e.Mark
	h.entries = append(h.entries, entry{id, e.Mark})
}

func (h *history) faultf(format string, args ...any) {
	h.disorder = append(h.disorder, fmt.Errorf(format, args...))
}

// readLog returns the events of the log in dir.
func readLog(ctx context.Context, dir string) (h *history, err error) {
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx, channel)
	if err != nil {
		return nil, err
	}
	replay, err := log.After(ctx, channel, eventlog.Position{Epoch: head.Epoch})
	if err != nil {
		return nil, err
	}
	if replay.Truncated {
		return nil, errors.New("the log has dropped events")
	}
	h = newHistory()
	for record, err := range replay.Records {
		if err != nil {
			return nil, err
		}
		var value struct {
			JSON event `json:"json"`
		}
		if err := json.Unmarshal(record.Data, &value); err != nil {
			return nil, err
		}
		h.add(record.Position().String(), value.JSON)
	}
	return h, nil
}
