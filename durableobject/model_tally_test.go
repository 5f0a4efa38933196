package durableobject_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tally counts what happens in histories, because a test in which nothing happens passes too.
type tally struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what]++
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		fmt.Fprintf(&b, "%8d  %s\n", c.counts[what], what)
	}
	return b.String()
}

// check checks that everything that the histories test has happened. The numbers are for a
// thousand histories, about a third of what usually happens.
func (c *tally) check(t *testing.T, histories uint64) {
	t.Helper()
	for what, least := range map[string]int{
		"publish: one":                                4000,
		"publish: a burst":                            900,
		"publish: beside others":                      1500,
		"publish: by an object that was evicted":      90,
		"refused: the socket of another object":       500,
		"refused: an id without its subject":          5000,
		"an event that twins got":                     4000,
		"an event for the same id of another subject": 10_000,
		"an eviction":                                 1500,
		"an entrance":                                 4000,
		"a drop":                                      3000,
		"a goodbye":                                   170,
		"a kick":                                      120,
		"a stall":                                     700,
		"a sip":                                       30,
		"the end of a stall":                          250,
		"a slow client has caught up from the log":    45,
		"subscribe: without an id":                    2000,
		"subscribe: where it was":                     1100,
		"subscribe: from the beginning":               500,
		"subscribe: from anybody's position":          800,
		"subscribe: from a position that is none":     500,
		"subscribe: twice at once":                    200,
		"a subscription ended by the next":            1700,
		"an abort":                                    300,
		"a resume: complete":                          2200,
		"a resume: truncated":                         1100,
		"a replay":                                    1900,
		"the latest: all of few":                      200,
		"the latest: of more":                         200,
		"the latest: none":                            200,
		"history: a page forwards":                    1000,
		"history: a page backwards":                   1000,
		"a snapshot":                                  1400,
		"an event that moves the cursor":              250,
		"an answer: act":                              500,
		"an answer behind its own event":              140,
		"an answer: a new token":                      90,
		"an answer: a token of another subject":       9,
		"an answer: a token for another channel":      30,
		"an answer: a token with other tags":          30,
		"an answer: a token that is none":             20,
		"nodes: a resume at another node":             300,
		"nodes: a resume where the guest was":         300,
		"nodes: a record that a feed leaves out":      500,
		"nodes: a record that is late":                500,
		"nodes: a loss of feeds":                      50,
		"nodes: a predicate is refused":               100,
		"closed with 1000":                            170,
		"closed with 1008":                            300,
		"closed with 1011":                            600,
		"closed with 1012":                            30,
		"closed with 1013":                            50,
		"closed with 4000":                            100,
	} {
		if got, want := c.counts[what], least*int(histories)/1000; got < want {
			t.Errorf("%d histories had %d of what they need %d of: %s", histories, got, want, what)
		}
	}
}
