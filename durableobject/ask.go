package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// askTimeout is how long the other nodes have to answer, askAgain when those that have
	// not are asked again, since a message may be lost.
	askTimeout = 600 * time.Millisecond
	askAgain   = 250 * time.Millisecond
	// maxAnswers is how many answers wait for the caller at once.
	maxAnswers = 256
)

// ErrSilent is returned, with what the others have answered, if a node that is taken to be
// there did not answer. It may have been killed within the last 15 s.
var ErrSilent = errors.New("durableobject: nodes did not answer")

// question and answer are the data of messages of their name.
type question struct {
	ID   uint64          `json:"id"`
	What string          `json:"what"`
	Data json.RawMessage `json:"data"`
}

type answer struct {
	ID   uint64          `json:"id"`
	From string          `json:"-"`
	Data json.RawMessage `json:"data"`
}

// ask asks the other nodes, and calls each with the data of the answers, one for each node.
// It waits for the nodes that are known, and a little for others if this one is new.
func (n *nodes) ask(ctx context.Context, what string, data any, each func(json.RawMessage) error) error {
	if n.alone {
		return nil
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if !n.listening() {
		if err := n.sync(ctx); err != nil && !n.listening() {
			return err
		}
	}
	answers := make(chan answer, maxAnswers)
	n.mu.Lock()
	n.asked++
	id, fresh := n.asked, time.Since(n.since) < beatInterval
	n.waiting[id] = answers
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.waiting, id)
	}()
	q, err := json.Marshal(question{id, what, text})
	if err != nil {
		return err
	}
	if err := n.broadcast(ctx, message{Kind: kindQuestion, Data: q}); err != nil {
		return err
	}
	return n.collect(ctx, q, answers, fresh, each)
}

// collect waits for the answers to a question that was sent, and sends it again to nodes that
// have not answered. With fresh it waits until then for nodes that are not known yet.
func (n *nodes) collect(ctx context.Context, q []byte, answers <-chan answer, fresh bool, each func(json.RawMessage) error) error {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	again := time.NewTimer(askAgain)
	defer again.Stop()
	got := map[string]bool{}
	missing := func() []string {
		return slices.DeleteFunc(n.others(), func(name string) bool { return got[name] })
	}
	var failed error // to ask again
	for fresh || len(missing()) > 0 {
		select {
		case a := <-answers:
			if got[a.From] {
				continue
			}
			got[a.From] = true
			if err := each(a.Data); err != nil {
				return fmt.Errorf("answer of node %s: %w", a.From, err)
			}
		case <-again.C:
			fresh = false // those that this node did not know have answered by now
			for _, name := range missing() {
				err := n.broadcast(asking, message{Kind: kindQuestion, To: name, Data: q})
				if err != nil && asking.Err() == nil {
					failed = err
				}
			}
		case <-asking.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return silentError(missing(), failed)
		}
	}
	return nil
}

// silentError returns the error of nodes that did not answer, and why one could not be asked
// again; nil if there are none, since the last one has shut down meanwhile.
func silentError(names []string, failed error) error {
	switch {
	case len(names) == 0:
		return nil
	case failed != nil:
		return fmt.Errorf("%w: %s: %w", ErrSilent, strings.Join(names, ", "), failed)
	}
	return fmt.Errorf("%w: %s", ErrSilent, strings.Join(names, ", "))
}

// answer answers a question of another node.
func (n *nodes) answer(from string, data json.RawMessage) {
	var q question
	if json.Unmarshal(data, &q) != nil {
		return
	}
	fn := n.onAsked[q.What]
	if fn == nil {
		return // of a newer version
	}
	id := asked{from, q.ID}
	sent, isNew := n.answers.begin(id)
	if !isNew && sent == nil {
		return
	}
	n.soon(func() {
		if !isNew {
			n.send(message{Kind: kindAnswer, To: from, Data: sent})
			return
		}
		result, err := json.Marshal(fn(q.Data))
		if err == nil {
			result, err = json.Marshal(answer{ID: q.ID, Data: result})
		}
		if err != nil {
			n.core.logger.Error("answer to another node cannot be encoded", "what", q.What, "err", err)
			n.answers.end(id, nil)
			return
		}
		n.answers.end(id, result)
		n.send(message{Kind: kindAnswer, To: from, Data: result})
	})
}

// answered passes an answer to the caller that waits for it.
func (n *nodes) answered(from string, data json.RawMessage) {
	var a answer
	if json.Unmarshal(data, &a) != nil {
		return
	}
	a.From = from
	n.mu.Lock()
	waiting := n.waiting[a.ID]
	n.mu.Unlock()
	select {
	case waiting <- a: // blocks for ever on a nil channel, so that default is taken
	default:
	}
}
