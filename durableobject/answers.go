package durableobject

import (
	"encoding/json"
	"sync"
)

// maxAnswered is how many questions of other nodes are remembered. A question is repeated within
// askTimeout.
const maxAnswered = 1024

// answers has the answers that this node has sent. If a question is repeated, because its answer
// was lost, the same answer is sent, and the question is not processed again. The zero value is
// empty.
type answers struct {
	mu    sync.Mutex
	sent  map[asked]json.RawMessage // nil while the question is being answered
	order []asked                   // the oldest first
}

// asked identifies a question: the names of nodes are unique, and a node does not reuse ids.
type asked struct {
	from string
	id   uint64
}

// begin adds a question and reports whether it is new. If it is not, data is its answer, or nil
// while there is none. If maxAnswered questions are remembered and the oldest one has no answer yet,
// the question is ignored like a lost message.
func (a *answers) begin(q asked) (data json.RawMessage, isNew bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if data, found := a.sent[q]; found {
		return data, false
	}
	if len(a.order) == maxAnswered {
		oldest := a.order[0]
		if data, found := a.sent[oldest]; found && data == nil {
			return nil, false
		}
		delete(a.sent, oldest)
		a.order = append(a.order[:0], a.order[1:]...)
	}
	if a.sent == nil {
		a.sent = map[asked]json.RawMessage{}
	}
	a.sent[q] = nil
	a.order = append(a.order, q)
	return nil, true
}

// end stores the answer to a question. If data is nil, it forgets the question.
func (a *answers) end(q asked, data json.RawMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if data == nil {
		delete(a.sent, q)
		return
	}
	a.sent[q] = data
}
