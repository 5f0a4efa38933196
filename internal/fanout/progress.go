package fanout

// Phase is a summary of the state of a [Reader], for statistics.
type Phase uint8

// The phases of a reader.
const (
	// Unsubscribed readers read nothing.
	Unsubscribed Phase = iota
	// Replaying readers read missed records.
	Replaying
	// Held readers wait for [Reader.Release].
	Held
	// Live readers read records as they are published.
	Live
	// Behind readers were too slow: they read the log, or will have to, because the tail does
	// not keep the records that they still have to read.
	Behind
)

// Progress describes the progress of a [Reader].
type Progress struct {
	Phase Phase
	// Events and Bytes are the number and size of the records of the channel, for any
	// recipients, that the reader has not processed yet. Missed records are not included,
	// because only the log knows their number.
	Events int
	Bytes  int64
}

// Progress returns the progress of the reader. It takes the channel's lock and the reader's, one
// after the other.
func (r *Reader) Progress() Progress {
	t := r.history.tail
	newest, _ := t.head() // read before at, which may then be newer
	r.mu.Lock()
	defer r.mu.Unlock()
	p, from := Progress{}, newest.placeAfter()
	switch r.state {
	case unsubscribed, left:
	case replaying:
		p.Phase, from = Replaying, r.at.placeAfter()
	case held:
		p.Phase, from = Held, r.at.placeAfter()
	case current, announcing:
		p.Phase = Live
	case following:
		p.Phase, from = Live, r.at.placeBefore()
		if r.at.gap || newest.end-from.end > int64(t.maxLag) {
			p.Phase = Behind
		}
	case catchingUp:
		p.Phase, from = Behind, r.sub.fell
	}
	p.Events, p.Bytes = newest.placeAfter().minus(from)
	return p
}

// Behind reports whether the reader was too slow for live events and reads them from the log.
func (r *Reader) Behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == catchingUp || r.state == following && r.at.gap
}
