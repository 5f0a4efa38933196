package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/child"
)

// process is one run of the server.
type process struct {
	*child.Process

	addr  string // where it listens; valid once it is ready
	acked []mark // what it has acknowledged; valid once it has ended
}

func startProcess(ctx context.Context, dir, addr string, run, publishers int) (*process, error) {
	p := &process{}
	server, err := child.Start(ctx, asServer+"=1", []string{
		"-dir", dir, "-addr", addr, "-run", strconv.Itoa(run), "-publishers", strconv.Itoa(publishers),
	}, p.take)
	if err != nil {
		return nil, err
	}
	p.Process = server
	return p, nil
}

// take is called with each line that the server writes.
func (p *process) take(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case readyWord:
		p.addr = rest
		return nil
	case ackedWord:
		m, err := parseMark(rest)
		p.acked = append(p.acked, m)
		return err
	}
	return errors.New("complaint")
}
