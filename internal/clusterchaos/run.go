package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// The size of a run.
const (
	servers    = 3
	nodeCount  = 3
	busy       = 6 // channels
	perBusy    = 6 // watchers of each
	underNode  = 4 // busy channels with one more watcher, under Node
	publishers = 12
	inARow     = 3                // number of faults after which all watchers must be live again
	settleTime = 15 * time.Second // after the last fault, for all watchers to receive all events
)

type config struct {
	length    time.Duration
	pause     time.Duration // between the events of a publisher, at most
	scripts   string        // the directory of the script of clients under Node; empty: none
	quiet     int           // channels
	tailCheck bool
	seed      uint64
}

// cluster has the servers, nodes and watchers of a run.
type cluster struct {
	config
	servers  []*process
	routes   []*proxy // to each of the servers, from the others
	nodes    []*node
	channels []*channelRun
	watching []<-chan struct{}

	mu     sync.Mutex // guards report and channelRun.acknowledged while events are published
	report report
}

// channelRun is a channel with its watchers.
type channelRun struct {
	name         string
	watchers     []*watcher
	acknowledged []string
}

// run starts everything, causes faults for a while, and judges. It returns an error if
// something could not be started or stopped.
func run(ctx context.Context, cfg config) (r *report, err error) {
	dir, err := os.MkdirTemp("", "clusterchaos")
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &cluster{config: cfg}
	defer func() {
		cancel()
		for _, done := range c.watching {
			<-done
		}
		for _, n := range c.nodes {
			err = errors.Join(err, n.close())
		}
		for _, p := range c.servers {
			p.kill()
		}
		for _, p := range c.routes {
			err = errors.Join(err, p.listener.Close())
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if err := c.start(ctx, dir); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	c.storm(ctx)
	c.settle(ctx)
	if c.report.consumers, err = c.nodes[0].consumers(ctx); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	cancel()
	for _, done := range c.watching {
		<-done
	}
	for _, ch := range c.channels {
		c.report.watchers += len(ch.watchers)
		c.report.judge(ch.acknowledged, ch.watchers)
	}
	c.report.channels = len(c.channels)
	for _, n := range c.nodes {
		for _, p := range n.proxies {
			c.report.dropped += p.dropped.Load()
		}
	}
	return &c.report, nil
}

func (c *cluster) start(ctx context.Context, dir string) error {
	if err := c.startServers(ctx, dir, servers); err != nil {
		return err
	}
	for i := range nodeCount {
		n, err := startNode(ctx, c.config, c.servers[i%servers], c.servers[(i+1)%servers])
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for i := range busy + c.quiet {
		ch, watchers := &channelRun{name: fmt.Sprint("quiet ", i-busy)}, 1
		if i < busy {
			ch.name, watchers = fmt.Sprint("busy ", i), perBusy
		}
		c.channels = append(c.channels, ch)
		for range watchers {
			w, done, err := watch(ctx, ch.name, c.nodes)
			if err != nil {
				return err
			}
			ch.watchers, c.watching = append(ch.watchers, w), append(c.watching, done)
		}
	}
	if c.config.scripts == "" {
		return nil
	}
	done, err := watchUnderNode(ctx, c.config.scripts, c.channels[:underNode], c.nodes)
	if err != nil {
		return err
	}
	c.watching = append(c.watching, done)
	return nil
}

// storm publishes events and causes faults. The last fault drops messages of channels that
// have no event after it: only a tail check can detect that.
func (c *cluster) storm(ctx context.Context) {
	done := make(chan struct{})
	var running sync.WaitGroup
	for i := range publishers {
		running.Go(func() { c.publishBusy(ctx, done, i) })
	}
	running.Go(func() { c.publishQuiet(ctx, done) })
	running.Go(func() { c.publishKeyed(ctx, done) })
	running.Go(func() { c.dropSockets(ctx, done) })
	r := rand.New(rand.NewPCG(c.seed, 0))
	for end := time.Now().Add(c.length); time.Now().Before(end); {
		for range inARow {
			pause(ctx.Done(), time.Second)
			c.breakSomething(ctx, r)
		}
		c.report.recoveries = append(c.report.recoveries, c.awaitLive(ctx))
	}
	for _, n := range c.nodes {
		n.set(leaking)
	}
	c.report.faults[leaking]++
	close(done)
	running.Wait()
	for _, ch := range c.channels[busy:] {
		c.publish(ctx, c.nodes[0], ch, "the last of "+ch.name)
	}
	for _, n := range c.nodes {
		n.set(healthy)
	}
}

func (n *node) set(f fault) {
	for _, p := range n.proxies {
		p.set(f)
	}
}

// breakSomething causes one fault for a while.
func (c *cluster) breakSomething(ctx context.Context, r *rand.Rand) {
	if r.IntN(3) == 0 || c.report.leaders == 0 {
		c.killServer(ctx, r)
		return
	}
	n, f := c.nodes[r.IntN(len(c.nodes))], cut+fault(r.IntN(int(faults-cut)))
	broken := n.proxies
	switch r.IntN(6) {
	case 0, 1: // to one of its servers only
		at := r.IntN(len(broken))
		broken = broken[at : at+1]
	case 2: // between servers
		f = cut + fault(r.IntN(int(leaking-cut)))
		broken = []*proxy{c.routes[r.IntN(len(c.routes))]}
	case 3: // to the clients of the node
		f = cut + fault(r.IntN(int(leaking-cut)))
		broken = []*proxy{n.front}
	}
	c.report.faults[f]++
	for _, p := range broken {
		p.set(f)
	}
	pause(ctx.Done(), time.Second+time.Duration(r.IntN(int(2*time.Second))))
	for _, p := range broken {
		p.set(healthy)
	}
}

// killServer kills a server and starts it again. The first time, and in half of the other
// cases, it is the leader of the stream.
func (c *cluster) killServer(ctx context.Context, r *rand.Rand) {
	leader, p := c.leader(ctx), c.servers[r.IntN(len(c.servers))]
	if leader != nil && (r.IntN(2) == 0 || c.report.leaders == 0) {
		p = leader
	}
	p.kill()
	c.report.kills++
	if p == leader {
		c.report.leaders++
	}
	pause(ctx.Done(), time.Second)
	_ = p.start(ctx) // if that fails the others continue, and the report shows it
}

func (c *cluster) publishBusy(ctx context.Context, done <-chan struct{}, publisher int) {
	for i := 0; !closed(done); i++ {
		n, ch := c.nodes[publisher%len(c.nodes)], c.channels[rand.IntN(busy)]
		c.publish(ctx, n, ch, fmt.Sprint(publisher, "/", i))
		if c.pause > 0 {
			pause(done, rand.N(c.pause))
		}
	}
}

// publishQuiet publishes to quiet channels from time to time.
func (c *cluster) publishQuiet(ctx context.Context, done <-chan struct{}) {
	for i := 0; !closed(done) && c.quiet > 0; i++ {
		c.publish(ctx, c.nodes[i%len(c.nodes)], c.channels[busy+rand.IntN(c.quiet)], fmt.Sprint("quiet ", i))
		pause(done, 30*time.Millisecond)
	}
}

func (c *cluster) publish(ctx context.Context, n *node, ch *channelRun, event string) {
	start := time.Now()
	err := n.publish(ctx, ch.name, event)
	c.note(ch, event, start, err)
}

// note records the result of a publication.
func (c *cluster) note(ch *channelRun, event string, start time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.longest = max(c.report.longest, time.Since(start))
	if err != nil {
		c.report.failed++
		return
	}
	c.report.acknowledged++
	ch.acknowledged = append(ch.acknowledged, event)
}

func (c *cluster) dropSockets(ctx context.Context, done <-chan struct{}) {
	for !closed(done) {
		c.nodes[rand.IntN(len(c.nodes))].drop(ctx, c.channels[rand.IntN(len(c.channels))].name)
		pause(done, 50*time.Millisecond)
	}
}

// awaitLive waits until all watchers have the events that are acknowledged now, or until
// that takes too long. It returns how long it took.
func (c *cluster) awaitLive(ctx context.Context) time.Duration {
	start := time.Now()
	c.mu.Lock()
	want := make([]int, len(c.channels))
	for i, ch := range c.channels {
		want[i] = len(ch.acknowledged)
	}
	c.mu.Unlock()
	for time.Since(start) < settleTime && !c.haveSeen(want) {
		pause(ctx.Done(), 50*time.Millisecond)
	}
	return time.Since(start)
}

// settle waits until all watchers have all events, or until that takes too long.
func (c *cluster) settle(ctx context.Context) {
	c.report.back = c.awaitLive(ctx)
	pause(ctx.Done(), time.Second) // for events that should not arrive
}

// haveSeen reports whether every watcher of each channel has as many events as wanted.
func (c *cluster) haveSeen(want []int) bool {
	for i, ch := range c.channels {
		for _, w := range ch.watchers {
			if w.count() < want[i] {
				return false
			}
		}
	}
	return true
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
