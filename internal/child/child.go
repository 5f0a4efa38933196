// Package child starts a second process of the running program, as a server that writes
// lines and is stopped from outside: by closing its input, or with SIGKILL. It is for
// tests and benchmarks.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Process is a server process. Only Ended, Err, Wait and IsReady may be called
// concurrently.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready chan struct{}
	ended chan struct{}
	err   error // the faults that its lines reported, once ended is closed
}

// Start starts the program with args and one more variable in its environment. It is
// killed when ctx ends. One goroutine calls take with each line that the process writes.
// take returns an error if the line reports a fault, and the process is ready after the
// first line that does not. Its standard error is that of the calling process.
func Start(ctx context.Context, variable string, args []string, take func(line string) error) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // it is this program
	cmd.Env = append(os.Environ(), variable)
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
	p := &Process{cmd: cmd, stdin: stdin, ready: make(chan struct{}), ended: make(chan struct{})}
	go p.read(stdout, take)
	return p, nil
}

// read reads the lines that the process writes. The pipe keeps those of a killed process.
func (p *Process) read(stdout io.Reader, take func(line string) error) {
	defer close(p.ended)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		err := take(lines.Text())
		switch {
		case err != nil:
			p.err = errors.Join(p.err, fmt.Errorf("server: %s: %w", lines.Text(), err))
		case !p.IsReady():
			close(p.ready)
		}
	}
	p.err = errors.Join(p.err, lines.Err())
}

// Ended returns a channel that is closed when the process has ended and take has returned
// for all its lines.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err returns the errors of take, once Ended is closed.
func (p *Process) Err() error { return p.err }

// Tell writes a line to the standard input of the process.
func (p *Process) Tell(words ...any) error {
	_, err := fmt.Fprintln(p.stdin, words...)
	return err
}

// Wait waits until the process is ready.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return errors.Join(errors.New("the server ended before it was ready"), p.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IsReady reports whether the process is ready.
func (p *Process) IsReady() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// CloseInput closes the standard input of the process, at which it ends.
func (p *Process) CloseInput() error { return p.stdin.Close() }

// Stop closes the input and waits until the process has ended. The error includes that
// of Err.
func (p *Process) Stop() error {
	err := p.CloseInput()
	<-p.ended
	return errors.Join(err, p.err, p.cmd.Wait())
}

// Kill ends the process with SIGKILL. The error includes that of Err, and one if the
// process had already exited.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
	if state := p.cmd.ProcessState; state.Exited() {
		return errors.Join(p.err, fmt.Errorf("the server ended by itself: %v", state))
	}
	return p.err
}
