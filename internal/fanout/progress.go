package fanout

// Phase is what a [Reader] does, as far as that matters to those who watch it.
type Phase uint8

// The phases of a reader.
const (
	// Unsubscribed readers read nothing.
	Unsubscribed Phase = iota
	// Replaying readers read what their client has missed.
	Replaying
	// Held readers wait for [Reader.Release].
	Held
	// Live readers read what is published.
	Live
	// Behind readers were too slow for that: they read the log, or will have to, since the
	// tail does not keep for them what they have yet to read.
	Behind
)

// Progress is how far a [Reader] has come.
type Progress struct {
	Phase Phase
	// Events and Bytes are the records of the channel, for whomever they are, that the reader
	// has yet to look at, and their size. Missed ones are not among them, since only the
	// log knows how many there are.
	Events int
	Bytes  int64
}

// Progress returns how far the reader has come. It takes the channel's lock and the
// reader's, one after the other.
func (r *Reader) Progress() Progress {
	t := r.history.tail
	newest, _ := t.head() // before at is looked at, which may be newer then
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
