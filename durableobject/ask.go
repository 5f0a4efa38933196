package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// askTimeout is how long other nodes may take to answer. After askAgain the question is
	// repeated for those that have not answered, since a message may have been lost.
	askTimeout = 600 * time.Millisecond
	askAgain   = 250 * time.Millisecond
	// maxAnswers is the maximum number of answers that wait for the caller.
	maxAnswers = 256
)

// ErrSilent is returned, together with the answers of the others, if a node did not answer. The
// node may have been killed within the last 15 s.
var ErrSilent = errors.New("nodes did not answer")

// question and answer are the data of the messages with these kinds.
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

// questions asks the other nodes of a namespace, and answers their questions.
type questions struct {
	nodes   *nodes
	answers answers

	// handlers answer questions, by What, each on a separate goroutine. A question for which
	// one returns an error is not answered. They are set before the first question.
	handlers map[string]func(data json.RawMessage) (any, error)

	mu      sync.Mutex
	asked   uint64 // the id of the last one of this node
	waiting map[uint64]chan<- answer
}

func newQuestions(n *nodes) *questions {
	q := &questions{nodes: n, handlers: map[string]func(json.RawMessage) (any, error){}, waiting: map[uint64]chan<- answer{}}
	n.handlers[kindQuestion], n.handlers[kindAnswer] = q.answer, q.answered
	return q
}

// ask sends a question to the other nodes and calls each with the data of each node's answer. It
// waits for the known nodes and, if this node is new, a little for others. If each returns an error,
// ask returns the first one after all answers.
func (q *questions) ask(ctx context.Context, what string, data any, each func(json.RawMessage) error) error {
	if q.nodes.alone {
		return nil
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if !q.nodes.listening() {
		if err := q.nodes.sync(ctx); err != nil && !q.nodes.listening() {
			return err
		}
	}
	answers := make(chan answer, maxAnswers)
	fresh := q.nodes.isNew()
	q.mu.Lock()
	q.asked++
	id := q.asked
	q.waiting[id] = answers
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.waiting, id)
	}()
	encoded, err := json.Marshal(question{id, what, text})
	if err != nil {
		return err
	}
	if err := q.nodes.broadcast(ctx, message{Kind: kindQuestion, Data: encoded}); err != nil {
		return err
	}
	return q.collect(ctx, encoded, answers, fresh, each)
}

// collect waits for the answers to a question, and repeats it for nodes that have not answered.
// With fresh it waits, until it repeats the question, for nodes that are not known yet.
func (q *questions) collect(
	ctx context.Context, encoded []byte, answers <-chan answer, fresh bool, each func(json.RawMessage) error,
) error {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	again := time.NewTimer(askAgain)
	defer again.Stop()
	got := map[string]bool{}
	missing := func() []string {
		return slices.DeleteFunc(q.nodes.others(), func(name string) bool { return got[name] })
	}
	var failed, bad error // of repeating the question; of an answer
	for fresh || len(missing()) > 0 {
		select {
		case a := <-answers:
			if got[a.From] {
				continue
			}
			got[a.From] = true
			if err := each(a.Data); err != nil && bad == nil {
				bad = fmt.Errorf("answer of node %s: %w", a.From, err)
			}
		case <-again.C:
			fresh = false // unknown nodes have had time to answer
			for _, name := range missing() {
				err := q.nodes.broadcast(asking, message{Kind: kindQuestion, To: name, Data: encoded})
				if err != nil && asking.Err() == nil {
					failed = err
				}
			}
		case <-asking.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return errors.Join(silentError(missing(), failed), bad)
		}
	}
	return bad
}

// silentError returns an error about nodes that did not answer, with the error of repeating the
// question. It returns nil if names is empty, because the last of them has shut down meanwhile.
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
func (q *questions) answer(from string, data json.RawMessage) {
	var asks question
	if !q.nodes.decode(kindQuestion, from, data, &asks) {
		return
	}
	handle := q.handlers[asks.What]
	if handle == nil {
		return // a question of a newer version
	}
	id := asked{from, asks.ID}
	sent, isNew := q.answers.begin(id)
	if !isNew && sent == nil {
		return
	}
	q.nodes.soon(func() {
		if !isNew {
			q.nodes.send(message{Kind: kindAnswer, To: from, Data: sent})
			return
		}
		result, err := answerOf(handle, &asks)
		if err != nil {
			q.nodes.base.logger.Warn("question of another node not answered", "what", asks.What, "node", from, "err", err)
			q.answers.end(id, nil)
			return
		}
		q.answers.end(id, result)
		q.nodes.send(message{Kind: kindAnswer, To: from, Data: result})
	})
}

// answerOf returns the encoded answer to a question.
func answerOf(handle func(json.RawMessage) (any, error), asks *question) ([]byte, error) {
	result, err := handle(asks.Data)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	data, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return json.Marshal(answer{ID: asks.ID, Data: data})
}

// answered passes an answer to the caller that waits for it.
func (q *questions) answered(from string, data json.RawMessage) {
	var a answer
	if !q.nodes.decode(kindAnswer, from, data, &a) {
		return
	}
	a.From = from
	q.mu.Lock()
	waiting := q.waiting[a.ID]
	q.mu.Unlock()
	select {
	case waiting <- a: // if waiting is nil, default is taken
	default:
	}
}
