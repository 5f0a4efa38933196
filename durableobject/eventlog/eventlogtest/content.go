package eventlogtest

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// contents are records whose content a log must return unchanged.
var contents = map[string]func() *eventlog.Record{
	"nothing":                func() *eventlog.Record { return &eventlog.Record{} },
	"empty data":             func() *eventlog.Record { return &eventlog.Record{Data: []byte{}} },
	"data without meta":      func() *eventlog.Record { return text(`{"json":1}`) },
	"meta without data":      func() *eventlog.Record { return &eventlog.Record{Meta: []byte(`"retry":1`)} },
	"data and meta":          func() *eventlog.Record { return &eventlog.Record{Data: []byte(`{}`), Meta: []byte(`"retry":1`)} },
	"one byte":               func() *eventlog.Record { return text("0") },
	"every byte":             func() *eventlog.Record { return &eventlog.Record{Data: everyByte(), Meta: everyByte()} },
	"NUL bytes":              func() *eventlog.Record { return &eventlog.Record{Data: make([]byte, 100), Meta: make([]byte, 3)} },
	"text that is not UTF-8": func() *eventlog.Record { return text("\xff\xfe\xc0\x80") },
	"lines":                  func() *eventlog.Record { return text("a\nb\r\n\nc\n") },
	"a megabyte of data":     func() *eventlog.Record { return text(strings.Repeat("0123456789abcdef", 1<<16)) },
	"64 KiB less one":        func() *eventlog.Record { return text(strings.Repeat("x", 1<<16-1)) },
	"64 KiB":                 func() *eventlog.Record { return text(strings.Repeat("x", 1<<16)) },
	"much meta":              func() *eventlog.Record { return &eventlog.Record{Meta: bytes.Repeat([]byte("m"), 1<<17)} },
}

// audiences must be returned unchanged too. Nil and empty lists have different meanings.
var audiences = map[string]func() eventlog.Audience{
	"everybody":        func() eventlog.Audience { return eventlog.Audience{} },
	"no tags":          func() eventlog.Audience { return eventlog.Audience{Tags: []string{}} },
	"one tag":          func() eventlog.Audience { return eventlog.Audience{Tags: []string{"a"}} },
	"tags in order":    func() eventlog.Audience { return eventlog.Audience{Tags: []string{"b", "a", "b"}} },
	"an empty tag":     func() eventlog.Audience { return eventlog.Audience{Tags: []string{""}} },
	"odd tags":         func() eventlog.Audience { return eventlog.Audience{Tags: []string{"\x00", "\xff", "é,;", "\n"}} },
	"no targets":       func() eventlog.Audience { return eventlog.Audience{Targets: []eventlog.Recipient{}} },
	"one target":       func() eventlog.Audience { return eventlog.Audience{Targets: recipients("a", "1")} },
	"targets in order": func() eventlog.Audience { return eventlog.Audience{Targets: recipients("b", "2", "a", "1", "b", "2")} },
	"a target by id":   func() eventlog.Audience { return eventlog.Audience{Targets: recipients("", "1")} },
	"an empty list of targets": func() eventlog.Audience {
		return eventlog.Audience{Targets: recipients("", "", "a", "")}
	},
	"an exclude": func() eventlog.Audience { return eventlog.Audience{Excludes: recipients("a", "1")} },
	"excludes": func() eventlog.Audience {
		return eventlog.Audience{Excludes: recipients("a", "1", "", "\xff", "é", "\x00")}
	},
	"empty tags and targets": func() eventlog.Audience { return eventlog.Audience{Tags: []string{}, Targets: []eventlog.Recipient{}} },
	"all three": func() eventlog.Audience {
		return eventlog.Audience{Tags: []string{"t"}, Targets: recipients("a", "1"), Excludes: recipients("b", "2")}
	},
	"a thousand": func() eventlog.Audience { return eventlog.Audience{Targets: numbered(1000), Excludes: numbered(1000)} },
	"a long tag": func() eventlog.Audience { return eventlog.Audience{Tags: []string{strings.Repeat("t", 1<<16)}} },
	"a long id": func() eventlog.Audience {
		return eventlog.Audience{Targets: recipients(strings.Repeat("s", 1<<16), "1")}
	},
	"two whose joined parts are equal": func() eventlog.Audience { return eventlog.Audience{Targets: recipients("ab", "c", "a", "bc")} },
}

var (
	contentCases  = contentRoundTrips()
	audienceCases = audienceRoundTrips()
)

func contentRoundTrips() map[string]func(*log) {
	cases := make(map[string]func(*log))
	for name, record := range contents {
		cases[name] = roundTrip(record)
	}
	return cases
}

func audienceRoundTrips() map[string]func(*log) {
	cases := make(map[string]func(*log))
	for name, audience := range audiences {
		cases[name] = roundTrip(func() *eventlog.Record {
			return &eventlog.Record{Data: []byte("x"), Audience: audience()}
		})
	}
	return cases
}

// roundTrip returns a case that appends a record between two others, and checks that it is
// delivered and replayed unchanged.
func roundTrip(record func() *eventlog.Record) func(*log) {
	return func(l *log) {
		before := l.add("a", text("before"))
		r := record()
		var delivered *eventlog.Record
		err := l.Append(l.t.Context(), "a", r, func(d *eventlog.Record) { delivered = d })
		if err != nil {
			l.t.Fatalf("Append: %v", err)
		}
		after := l.add("a", text("after"))
		want := record()
		want.Seq, want.Prev, want.Epoch, want.Time = r.Seq, r.Prev, r.Epoch, r.Time
		sameRecord(l.t, delivered, want)
		l.complete("a", eventlog.Position{}, []*eventlog.Record{before, want, after})
	}
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// recipients returns recipients for pairs of subject and id.
func recipients(pairs ...string) []eventlog.Recipient {
	var rs []eventlog.Recipient
	for i := 0; i < len(pairs); i += 2 {
		rs = append(rs, eventlog.Recipient{Subject: pairs[i], ID: pairs[i+1]})
	}
	return rs
}

func numbered(n int) []eventlog.Recipient {
	var rs []eventlog.Recipient
	for i := range n {
		rs = append(rs, eventlog.Recipient{Subject: "subject", ID: strconv.Itoa(i)})
	}
	return rs
}
