package filelog

import "slices"

// index maps channels to the positions of their records. Log.mu guards it.
type index struct {
	channels map[string]*channel
	// sealed are the closed segments, oldest first.
	sealed []*segment
	// quiet are the channels that have had no records since the latest drop. The next
	// drop forgets them.
	quiet []*channel
	// floor is the Seq of the last record dropped from the log.
	floor uint64
	// lost is the Seq of the last record known to have been lost to damage.
	lost uint64
}

// channel is the state of a channel.
type channel struct {
	name string
	last uint64 // Seq of its newest record, floor if it has none
	// floor is at or after the Seq of its last record dropped.
	floor uint64
	// runs has the positions of its records in sealed segments, oldest first, and live
	// those in the active one. Both are only appended to or replaced, so that readers
	// may keep slices of them.
	runs []runRef
	live []ref
	// staged is the Seq of its newest record in the batch being written, or last.
	// Only the committer uses it.
	staged uint64
}

// runRef is the position of the list of a run.
type runRef struct {
	seg  *segment
	last uint64 // Seq of the last record of the run
	off  uint32 // of the list in the file
	size uint32
}

// before returns the Prev of the first record after the sealed ones.
func (c *channel) before() uint64 {
	if n := len(c.runs); n > 0 {
		return c.runs[n-1].last
	}
	return c.floor
}

func (c *channel) empty() bool { return len(c.runs) == 0 && len(c.live) == 0 }

// load adds a sealed segment whose footer was checked, after those loaded before.
func (x *index) load(seg *segment, footer []byte, runs uint32) bool {
	seg.channels = make([]*channel, 0, runs)
	ok := storedRuns(footer, runs, func(r storedRun) {
		c := x.channels[string(r.channel)]
		switch {
		case c == nil:
			c = &channel{name: string(r.channel), floor: r.before}
			x.channels[c.name] = c
		case c.before() != r.before:
			// Records between the runs were lost to damage or in an interrupted drop.
			c.floor = max(c.floor, r.before)
		}
		c.last = seg.base + uint64(r.last)
		c.staged = c.last
		c.runs = append(c.runs, runRef{
			seg: seg, last: c.last, off: uint32(seg.dataEnd) + uint32(r.off), size: uint32(r.size),
		})
		seg.channels = append(seg.channels, c)
	})
	x.sealed = append(x.sealed, seg)
	return ok
}

// remember adds a channel that has no records left.
func (x *index) remember(name string, last uint64) {
	if x.channels[name] == nil {
		c := &channel{name: name, last: last, floor: last, staged: last}
		x.channels[name] = c
		x.quiet = append(x.quiet, c)
	}
}

// seal makes the active segment a sealed one. lists has the position of each channel's
// list, in the order of the footer.
func (x *index) seal(seg *segment, lists []runRef) {
	for i, c := range seg.channels {
		c.runs = append(c.runs, lists[i])
		c.live = nil
	}
	x.sealed = append(x.sealed, seg)
}

// drop forgets the records of the n oldest segments, and the channels that have had no
// records since the previous drop.
func (x *index) drop(n int) {
	x.forgetQuiet()
	for _, seg := range x.sealed[:n] {
		for _, c := range seg.channels {
			c.floor = max(c.floor, c.runs[0].last)
			c.runs = append([]runRef(nil), c.runs[1:]...)
			if c.empty() {
				x.quiet = append(x.quiet, c)
			}
		}
		x.floor = max(x.floor, seg.last)
	}
	x.sealed = append([]*segment(nil), x.sealed[n:]...)
}

// dropLive forgets the records of the active segment, the only one.
func (x *index) dropLive(seg *segment) {
	x.forgetQuiet()
	for _, c := range seg.channels {
		c.floor, c.live = c.last, nil
		x.quiet = append(x.quiet, c)
	}
	x.floor = max(x.floor, seg.last)
}

func (x *index) forgetQuiet() {
	for _, c := range x.quiet {
		if c.empty() {
			delete(x.channels, c.name)
		}
	}
	x.quiet = nil
}

// unseal makes the newest sealed segment the active one, with the runs of its footer.
func (x *index) unseal(runs []run) *segment {
	last := len(x.sealed) - 1
	seg := x.sealed[last]
	x.sealed = x.sealed[:last:last]
	for i, c := range seg.channels {
		c.runs = slices.Clone(c.runs[:len(c.runs)-1])
		c.live = runs[i].refs
	}
	seg.size, seg.raw = seg.dataEnd, false
	return seg
}
