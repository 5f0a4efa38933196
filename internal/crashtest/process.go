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

	addr  string  // its address; valid when it is ready
	acked []entry // acknowledged events; valid when it has ended
}

// work describes what a server publishes.
type work struct {
	run, publishers int
	next            []int // the next event of each publisher that uses keys
	forgetful       bool  // the server forgets keys
}

func startProcess(ctx context.Context, dir, addr string, w work) (*process, error) {
	p := &process{}
	next := make([]string, len(w.next))
	for i, n := range w.next {
		next[i] = strconv.Itoa(n)
	}
	server, err := child.Start(ctx, asServer+"=1", []string{
		"-dir", dir, "-addr", addr, "-run", strconv.Itoa(w.run), "-publishers", strconv.Itoa(w.publishers),
		"-next", strings.Join(next, " "), "-forgetful=" + strconv.FormatBool(w.forgetful),
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
		p.addr = rest
		return nil
	case ackedWord:
		text, id, _ := strings.Cut(rest, " ")
		m, err := parseMark(text)
		p.acked = append(p.acked, entry{id, m})
		return err
	}
	return errors.New("complaint")
}
