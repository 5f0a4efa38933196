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
	// Behind readers were too slow for that, and read the log.
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
	newest, _ := r.history.tail.head() // before at is looked at, which may be newer then
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
		if r.at.gap {
			p.Phase = Behind
		}
	case catchingUp:
		p.Phase, from = Behind, r.sub.fell
	}
	p.Events, p.Bytes = newest.placeAfter().minus(from)
	return p
}

// Behind reports whether the reader was too slow for what is published, and reads it
// from the log.
func (r *Reader) Behind() bool { return r.Progress().Phase == Behind }
