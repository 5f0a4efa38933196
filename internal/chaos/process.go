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
	acked func(mark)    // is told of each event that was acknowledged
	ready chan struct{} // closed when it is ready
	ended chan struct{} // closed when it has ended

	plain, secure string // where it listens, to be read when ready is closed
	err           error  // what it complained about, to be read when ended is closed
}

func startProcess(ctx context.Context, dir string, run, members int, acked func(mark)) (*process, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, executable, //nolint:gosec // it is this program
		"-dir", dir, "-run", strconv.Itoa(run), "-members", strconv.Itoa(members))
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
	p := &process{cmd: cmd, stdin: stdin, acked: acked, ready: make(chan struct{}), ended: make(chan struct{})}
	go p.read(stdout)
	return p, nil
}

// read takes in what the server writes. The pipe keeps what a killed server wrote.
func (p *process) read(stdout io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch word {
		case readyWord:
			_, err = fmt.Sscan(rest, &p.plain, &p.secure)
			close(p.ready)
		case ackedWord:
			var m mark
			_, err = fmt.Sscan(rest, &m.Room, &m.Run, &m.Number, &m.Last)
			p.acked(m)
		default:
			err = errors.New("complaint")
		}
		if err != nil {
			p.err = errors.Join(p.err, fmt.Errorf("server: %s: %w", lines.Text(), err))
		}
	}
	p.err = errors.Join(p.err, lines.Err())
}

func (p *process) tell(command ...any) error {
	_, err := fmt.Fprintln(p.stdin, command...)
	return err
}

// wait waits until the server is ready.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("the server has ended before it was ready: %w", p.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop lets the server shut down in good order, and reports what went wrong with that.
func (p *process) stop() error {
	err := p.stdin.Close()
	<-p.ended
	return errors.Join(err, p.err, p.cmd.Wait())
}

// kill ends the server with SIGKILL. It is an error if that came too late.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
	if state := p.cmd.ProcessState; state.Exited() {
		return errors.Join(p.err, fmt.Errorf("the server has ended by itself: %v", state))
	}
	return p.err
}
