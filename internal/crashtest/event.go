package main

import (
	"fmt"
	"strings"
)

// event is a published event: its mark, and a string that is derived from it.
type event struct {
	Mark mark   `json:"mark"`
	Text string `json:"text"`
}

// mark identifies an event. Publishers count from 1 in each run of the server, and wait
// until an event is acknowledged before they publish the next. Those that use keys continue
// counting in the next run, as run 0: after a restart they publish again what was not
// acknowledged.
type mark struct {
	Run       int `json:"run"`
	Publisher int `json:"publisher"` // from 1; 0 is the last event of all
	Number    int `json:"number"`
}

// String returns the mark as the server writes it when the event is acknowledged.
func (m mark) String() string { return fmt.Sprintf("%d/%d/%d", m.Run, m.Publisher, m.Number) }

// keyed reports whether the event has a key.
func (m mark) keyed() bool { return m.Run == 0 }

func parseMark(text string) (m mark, err error) {
	_, err = fmt.Sscanf(text, "%d/%d/%d", &m.Run, &m.Publisher, &m.Number)
	return m, err
}

// event returns the event with this mark. Sizes vary, so that writes end anywhere in a
// page. A few span many pages, so that a kill leaves an incomplete write.
func (m mark) event() event {
	repeat := 1 + m.Number*7%40
	if m.Number%32 == m.Publisher {
		repeat = 6000
	}
	return event{Mark: m, Text: strings.Repeat(m.String()+" ", repeat)}
}
