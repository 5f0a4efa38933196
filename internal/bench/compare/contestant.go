//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-orpc/durable-iterator/internal/bench/host"
	"github.com/go-orpc/durable-iterator/internal/child"
)

// contestant is a server in a separate process: this program, with other arguments.
type contestant struct {
	process *child.Process
	hello   host.Hello
}

// start starts the server and returns once it listens.
func start(ctx context.Context, server string) (*contestant, error) {
	c := &contestant{}
	var err error
	c.process, err = child.Start(ctx, "BENCH_STDIN=1", []string{serve, server}, func(line string) error {
		return json.Unmarshal([]byte(line), &c.hello)
	})
	if err != nil {
		return nil, err
	}
	if err := c.process.Wait(ctx); err != nil {
		c.stop()
		return nil, fmt.Errorf("start %s: %w", server, err)
	}
	return c, nil
}

// stop kills the process: it has no state to save.
func (c *contestant) stop() { _ = c.process.Kill() }

// cpuOf returns the CPU time of a process, in user and system mode.
func cpuOf(pid int) (time.Duration, error) {
	clock := int32(^pid<<3 | 2) // its CPU clock, by the kernel's convention
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// resident returns the resident memory of the process in bytes, after it has returned unused memory to the system.
func (c *contestant) resident(ctx context.Context) (int64, error) {
	var stats struct {
		RSS int64 `json:"rss"`
	}
	err := c.ask(ctx, http.MethodPost, "/bench/gc", nil, &stats)
	return stats.RSS, err
}

// publish makes the server publish the events of a scenario, numbered from first on, and
// returns the time from the first call to the end of the last.
func (c *contestant) publish(ctx context.Context, s *scenario, first int64, p *pace) (time.Duration, error) {
	var body io.Reader
	if p != nil {
		body = p
	}
	var answer host.Published
	err := c.ask(ctx, http.MethodPost, fmt.Sprintf("/bench/publish?start=%d&count=%d&size=%d&rate=%d&window=%d",
		first, s.events, eventSize, s.rate, s.window), body, &answer)
	return time.Duration(answer.WallNS), err
}

// token returns a token for the library's server.
func (c *contestant) token(ctx context.Context) (string, error) {
	var answer struct{ Token string }
	err := c.ask(ctx, http.MethodGet, "/bench/token", nil, &answer)
	return answer.Token, err
}

func (c *contestant) ask(ctx context.Context, method, path string, body io.Reader, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.hello.HTTP+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
