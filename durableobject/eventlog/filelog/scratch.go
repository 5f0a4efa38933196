package filelog

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

// scratch is the record that a replay yields, time and again with other content,
// and the memory for its audience. A replay that made each record anew would spend
// more on that and on collecting it than on reading.
type scratch struct {
	record            eventlog.Record
	tags              []string
	targets, excludes []eventlog.Recipient
}

// load makes the record that of s. Its data and metadata stay where s has them.
func (m *scratch) load(s *stored, epoch string) (ok bool) {
	r := &m.record
	r.Seq, r.Prev, r.Epoch, r.Time = s.seq, s.prev, epoch, recordTime(s.time)
	r.Data, r.Meta, r.Audience = nil, nil, eventlog.Audience{}
	d := decoder{b: s.body}
	if s.flags&hasTags != 0 {
		m.tags = resize(m.tags, d.count(1))
		for i := range m.tags {
			d.text(&m.tags[i])
		}
		r.Tags = m.tags
	}
	if s.flags&hasTargets != 0 {
		m.targets = d.recipients(m.targets)
		r.Targets = m.targets
	}
	if s.flags&hasExcludes != 0 {
		m.excludes = d.recipients(m.excludes)
		r.Excludes = m.excludes
	}
	if s.flags&hasMeta != 0 {
		r.Meta = d.bytes()
	}
	if s.flags&hasData != 0 {
		r.Data = d.b
	}
	return !d.bad
}

// recipients reads a list into the memory of another.
func (d *decoder) recipients(list []eventlog.Recipient) []eventlog.Recipient {
	list = resize(list, d.count(2))
	for i := range list {
		d.text(&list[i].Subject)
		d.text(&list[i].ID)
	}
	return list
}

// text reads a text into s. What follows one another is often for the same audience:
// then no new text is made.
func (d *decoder) text(s *string) {
	if b := d.bytes(); string(b) != *s {
		*s = string(b)
	}
}

// resize returns a list of n elements, not nil, with what is in the list so far as far
// as it goes.
func resize[T any](list []T, n int) []T {
	if list == nil || n > cap(list) {
		return append(make([]T, 0, n), list...)[:n]
	}
	return list[:n]
}
