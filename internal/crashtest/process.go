package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// process is one run of the server.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready chan struct{} // closed when it is ready
	ended chan struct{} // closed when it has ended

	addr string // where it listens, to be read when ready is closed

	// What it has written, to be read when ended is closed.
	acked []mark
	err   error // what it complained about
}

func startProcess(ctx context.Context, dir, addr string, run, publishers int) (*process, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, executable, //nolint:gosec // it is this program
		"-dir", dir, "-addr", addr, "-run", strconv.Itoa(run), "-publishers", strconv.Itoa(publishers))
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, ready: make(chan struct{}), ended: make(chan struct{})}
	go p.read(stdout)
	return p, nil
}

// read takes in what the server writes. The pipe keeps what a killed server wrote.
func (p *process) read(stdout io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case readyWord:
			p.addr = rest
			close(p.ready)
		case ackedWord:
			m, err := parseMark(rest)
			if err != nil {
				p.err = errors.Join(p.err, fmt.Errorf("bad line %q: %w", lines.Text(), err))
			}
			p.acked = append(p.acked, m)
		default:
			p.err = errors.Join(p.err, fmt.Errorf("server: %s", lines.Text()))
		}
	}
	p.err = errors.Join(p.err, lines.Err())
}

func (p *process) tell(command string) error {
	_, err := fmt.Fprintln(p.stdin, command)
	return err
}

// wait waits until the server is ready.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return errors.New("the server has ended before it was ready")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) isReady() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// kill ends the server with SIGKILL. It is an error if that came too late, or if the
// server had complained.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
	if p.err != nil {
		return p.err
	}
	if state := p.cmd.ProcessState; state.Exited() {
		return fmt.Errorf("the server has ended by itself: %v", state)
	}
	return nil
}
