package durableobject_test

import (
	"math/rand/v2"
	"time"
)

// plan has the parameters of a history.
type plan struct {
	log       string        // "off", "own", "given", "bounded", "shared", "nodes"
	retention time.Duration // 0 with "off"
	maxBytes  int64         // of a channel in a bounded log
	spaces    int
	nodes     int    // that share the log, if it is of nodes; else 1
	feed      string // of nodes: "calm", "late", "leaky"
	subject   bool
	maxLag    int
	idle      time.Duration
	ping      time.Duration
	hookTime  time.Duration
	blocking  bool // the connections have no TryWrite
	space     int  // bytes that a connection holds
	pad       int  // bytes that a post has at most, besides its number
	farewells bool // OnDisconnected publishes
	latest    int  // of Options
}

func newPlan(r *rand.Rand) plan {
	p := plan{
		log:       pick(r, "off", "own", "own", "own", "given", "bounded", "shared", "shared", "nodes", "nodes", "nodes"),
		retention: pick(r, 20*time.Second, time.Minute, 10*time.Minute),
		maxBytes:  int64(6000 + r.IntN(10_000)),
		spaces:    1 + r.IntN(2),
		nodes:     1,
		subject:   r.IntN(3) == 0,
		maxLag:    pick(r, 1200, 3000, 20_000),
		idle:      pick(r, 20*time.Second, 3*time.Minute),
		ping:      pick(r, -1, 30*time.Second),
		hookTime:  pick(r, 2*time.Second, 10*time.Second),
		blocking:  r.IntN(4) == 0,
		space:     pick(r, 150, 600, 4000, 100_000),
		pad:       pick(r, 0, 100, 300),
		farewells: r.IntN(4) == 0,
	}
	if p.log == "off" {
		p.retention = 0
	}
	if p.log == "shared" {
		p.spaces = 2
	}
	if p.log == "nodes" {
		p.spaces, p.nodes, p.feed = 1, 2+r.IntN(2), pick(r, "calm", "late", "leaky")
	}
	if p.latest = pick(r, 0, 0, 1, 3, 20); p.log == "off" {
		p.latest = 0
	}
	if r.IntN(50) == 0 && p.log != "bounded" { // more than what is written at once
		p.pad = 20_000
	}
	return p
}

func pick[E any](r *rand.Rand, list ...E) E { return list[r.IntN(len(list))] }
