package eventlog

// queue is a first-in first-out queue whose items can be read by index. The zero queue
// is empty. It grows and shrinks with its content: it has at most four slots for each
// item.
type queue[T any] struct {
	ring  []T // its length is 0 or a power of two
	first int // index in ring of item 0
	len   int
}

// minQueue is the minimum number of slots of a queue that was ever written to.
const minQueue = 4

// at returns item i. The oldest is item 0.
func (q *queue[T]) at(i int) T { return q.ring[(q.first+i)&(len(q.ring)-1)] }

// push adds an item as the newest.
func (q *queue[T]) push(item T) {
	if q.len == len(q.ring) {
		q.resize(max(minQueue, 2*q.len))
	}
	q.ring[(q.first+q.len)&(len(q.ring)-1)] = item
	q.len++
}

// pop removes the oldest item.
func (q *queue[T]) pop() {
	var none T
	q.ring[q.first] = none
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.len--
	if len(q.ring) > minQueue && 4*q.len <= len(q.ring) {
		q.resize(len(q.ring) / 2)
	}
}

// search returns the index of the oldest item for which f returns true, or the length of
// the queue if there is none. If f returns true for an item, it must do so for all newer
// ones.
func (q *queue[T]) search(f func(T) bool) int {
	low, high := 0, q.len
	for low < high {
		if middle := (low + high) / 2; f(q.at(middle)) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// resize moves the items to a ring of n slots.
func (q *queue[T]) resize(n int) {
	ring := make([]T, n)
	for i := range q.len {
		ring[i] = q.at(i)
	}
	q.ring, q.first = ring, 0
}
