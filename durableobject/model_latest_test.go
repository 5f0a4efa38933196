package durableobject_test

// checkHookPosition checks the position that was passed to the hook, after which events are live.
// For a subscription that begins with the latest events, nothing else reports it.
func (r *reading) checkHookPosition() {
	v, p, text := r.visit, r.visit.place, r.hook.resume.Position
	if p.log == nil {
		if text != "" {
			p.failf("v%d: nothing is kept, and the hook of %s got the position %q", v.n, r.id, text)
		}
		return
	}
	at, ok := parsePosition(text)
	switch {
	case !ok || at.Epoch != p.epoch || at.Seq > p.head() || at.Seq < r.low:
		p.failf("v%d: the hook of %s got the position %q, at %d or later", v.n, r.id, text, r.low)
	case r.exact && r.last == "" && at.Seq != r.low:
		p.failf("v%d: the hook of %s got the position %q, its client %d", v.n, r.id, text, r.low)
	case r.latest > 0 && !r.exact:
		r.low, r.high, r.exact = at.Seq, at.Seq, true
		n := len(r.wanted(r.lost, at.Seq))
		p.sawf("the latest: %s", either(n == 0, "none", either(n > r.latest, "of more", "all of few")))
	}
}

// wanted returns the posts for the client that are after one rank, up to another one.
func (r *reading) wanted(after, upTo uint64) (list []*post) {
	for _, n := range r.want {
		if n.rank > after && n.rank <= upTo {
			list = append(list, n)
		}
	}
	return list
}

// latestBounds returns the bounds of a subscription that begins with the latest events: there are
// not more than requested, and not fewer unless some are too old.
func (r *reading) latestBounds() (low, high uint64, known bool) {
	v, p := r.visit, r.visit.place
	if r.hook == nil {
		return 0, 0, false
	}
	// Before which of the posts after a rank the last few begin.
	begin := func(after uint64) uint64 {
		if list := r.wanted(after, r.low); len(list) > r.latest {
			return list[len(list)-r.latest].rank - 1
		}
		return after
	}
	low, high = begin(r.gone), begin(max(r.gone, r.lost))
	if !r.begins {
		return low, high, true
	}
	if r.begin > r.low || r.begin < low && len(r.wanted(r.begin, low)) > 0 {
		p.failf("v%d: %s begins with the latest %d before %d, after %d", v.n, r.id, r.latest, r.low, r.begin)
	}
	return max(low, r.begin), min(high, max(r.begin, r.lost)), true
}
