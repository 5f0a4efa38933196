package durableobject

import (
	"encoding/json"
	"sync"
)

// maxAnswered is how many questions of other nodes are remembered. One is asked again
// within askTimeout.
const maxAnswered = 1024

// answers are those that this node has sent. A question that comes again, because the
// answer was lost, gets the same one, and is not obeyed again. The zero value is empty.
type answers struct {
	mu    sync.Mutex
	sent  map[asked]json.RawMessage // nil while the question is being answered
	order []asked                   // the oldest first
}

// asked names a question: no two nodes have the same name, and none uses an id again.
type asked struct {
	from string
	id   uint64
}

// begin notes a question. It reports whether it is new; data is the answer to one that is
// not, nil while there is none. A question is dropped, as a lost message is, while the
// oldest of as many as are remembered has no answer.
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

// end notes the answer to a question, or forgets one that has none: data is nil.
func (a *answers) end(q asked, data json.RawMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if data == nil {
		delete(a.sent, q)
		return
	}
	a.sent[q] = data
}
