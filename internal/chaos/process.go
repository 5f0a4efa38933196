package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/child"
)

// process is one run of the server.
type process struct {
	*child.Process

	acked         func(mark) // called with each event that was acknowledged
	plain, secure string     // its addresses, valid when it is ready
}

func startProcess(ctx context.Context, dir string, run, members int, acked func(mark)) (*process, error) {
	p := &process{acked: acked}
	server, err := child.Start(ctx, asServer+"=1", []string{
		"-dir", dir, "-run", strconv.Itoa(run), "-members", strconv.Itoa(members),
	}, p.take)
	if err != nil {
		return nil, err
	}
	p.Process = server
	return p, nil
}

// take handles a line of the server's output.
func (p *process) take(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case readyWord:
		_, err := fmt.Sscan(rest, &p.plain, &p.secure)
		return err
	case ackedWord:
		var m mark
		_, err := fmt.Sscan(rest, &m.Room, &m.Run, &m.Number, &m.Last)
		p.acked(m)
		return err
	}
	return errors.New("complaint")
}
