package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// event is a published event: its mark, and a string that is derived from it.
type event struct {
	Mark mark   `json:"mark"`
	Text string `json:"text"`
}

// mark identifies an event. A room counts from 1 in each run of the server, and waits
// until an event is acknowledged before it publishes the next.
type mark struct {
	Room   int  `json:"room"`
	Run    int  `json:"run"`
	Number int  `json:"number"`
	Last   bool `json:"last,omitempty"` // the last event of the room
}

// place is the position of an event among those of its room.
func (m mark) place() place { return place{m.Run, m.Number} }

type place struct{ run, number int }

func (p place) compare(q place) int {
	return slices.Compare([]int{p.run, p.number}, []int{q.run, q.number})
}

// event returns the event with this mark. Sizes vary, so that connections are cut anywhere
// in a message; a few events are large.
func (m mark) event() event {
	repeat := 1 + m.Number*7%24
	if m.Number%128 == 5 {
		repeat = 3000
	}
	return event{Mark: m, Text: strings.Repeat(fmt.Sprintf("%d/%d/%d ", m.Room, m.Run, m.Number), repeat)}
}

// member is a client of a room, as the audience of events knows it.
type member struct{ room, number int }

func (m member) id() string { return fmt.Sprintf("%d-%d", m.room, m.number) }

// tags returns the tags of the tokens of a member.
func (m member) tags() []string {
	return [...][]string{nil, {"red"}, {"blue"}, {"red", "blue"}}[m.number%4]
}

// isFor reports whether a member must receive an event. The result is compared with the
// audiences of the library. Half of the events are for everybody.
func (m mark) isFor(c member) bool {
	switch {
	case m.Last:
		return true
	case m.Number%8 == 1:
		return slices.Contains(c.tags(), "red")
	case m.Number%8 == 3:
		return slices.Contains(c.tags(), "red") || slices.Contains(c.tags(), "blue")
	case m.Number%8 == 5:
		return c.number%3 == 0
	case m.Number%8 == 7:
		return c.number%5 != 1
	}
	return true
}

// options returns the options of PublishEvent for the same audience. members is the number
// of clients of the room.
func (m mark) options(members int) []durableobject.PublishOption {
	ids := func(pick func(number int) bool) (list []string) {
		for number := range members {
			if pick(number) {
				list = append(list, member{m.Room, number}.id())
			}
		}
		return list
	}
	switch {
	case m.Last:
		return nil
	case m.Number%8 == 1:
		return []durableobject.PublishOption{durableobject.WithTags("red")}
	case m.Number%8 == 3:
		return []durableobject.PublishOption{durableobject.WithTags("red", "blue")}
	case m.Number%8 == 5:
		return []durableobject.PublishOption{durableobject.WithTargetIDs(ids(func(n int) bool { return n%3 == 0 })...)}
	case m.Number%8 == 7:
		return []durableobject.PublishOption{durableobject.WithExcludeIDs(ids(func(n int) bool { return n%5 == 1 })...)}
	}
	return nil
}
