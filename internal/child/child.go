// Package child runs the program that it is in once more, as a server that writes lines
// and is ended from outside: in good order, or with SIGKILL. It is for programs that
// test or measure.
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

// Process is the program as a server. Its methods are not for concurrent use, but for
// those that only wait.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready chan struct{}
	ended chan struct{}
	err   error // what was wrong with its lines, once ended is closed
}

// Start runs the program with these arguments and one more variable in its environment,
// until it ends or ctx does. take is told of each line that it writes, by one goroutine;
// an error says that the line is a complaint. The process is ready when take was told of
// the first line that is none. What it writes to its standard error goes to ours.
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

// read takes in what the process writes. The pipe keeps what a killed one wrote.
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

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended and take was told of all its lines.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says, once Ended is closed, what was wrong with its lines.
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
		return errors.Join(errors.New("the server has ended before it was ready"), p.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IsReady tells whether the process is ready.
func (p *Process) IsReady() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// CloseInput closes the standard input, which tells the process to end.
func (p *Process) CloseInput() error { return p.stdin.Close() }

// Stop closes the input and waits until the process has ended. It reports what went
// wrong with that, and Err.
func (p *Process) Stop() error {
	err := p.CloseInput()
	<-p.ended
	return errors.Join(err, p.err, p.cmd.Wait())
}

// Kill ends the process with SIGKILL. It is an error if that came too late, and so is Err.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
	if state := p.cmd.ProcessState; state.Exited() {
		return errors.Join(p.err, fmt.Errorf("the server has ended by itself: %v", state))
	}
	return p.err
}
