// Command idle measures the memory of a server per idle socket, for several numbers of
// sockets, to see whether it grows. The server is a separate process, the command in
// ../server.
//
//	go build -o /tmp/bench-server ./server && go run ./idle -server /tmp/bench-server
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bench/subscriber"
)

// from are the addresses that clients connect from, in turn: one address has too few ports
// for the number of sockets that the open file limit may allow.
var from = [...]string{"127.0.0.1", "127.0.0.2"}

const (
	dialers = 16
	settle  = 2 * time.Second // until memory that only connecting needed is released
)

func main() {
	server := flag.String("server", "", "the server's program")
	counts := flag.String("n", "4000,18000", "numbers of sockets")
	flag.Parse()
	for count := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(count)
		if err == nil {
			err = measure(*server, n)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// measure starts a server, opens n sockets and prints the cost of each.
func measure(program string, n int) (err error) {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "BENCH_STDIN=1") // it exits when its input ends
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return err
	}
	var hello struct {
		WS string `json:"ws"`
	}
	if err := json.Unmarshal(line, &hello); err != nil {
		return err
	}
	var pass struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	if err := ask(http.MethodGet, hello.WS, "/bench/token", &pass); err != nil {
		return err
	}
	var before, after usage
	if err := ask(http.MethodPost, hello.WS, "/bench/gc", &before); err != nil {
		return err
	}
	sockets, err := open(n, subscriber.Options{Address: hello.WS, Path: "/durable", ID: pass.ID, Token: pass.Token})
	defer func() {
		for _, s := range sockets {
			_ = s.Close()
		}
	}()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	if err := ask(http.MethodPost, hello.WS, "/bench/gc", &after); err != nil {
		return err
	}
	each := func(before, after uint64) float64 { return float64(after-before) / float64(n) }
	fmt.Printf("%6d sockets: %.2f KiB resident, %.0f B of stacks, %.2f goroutines each\n", n,
		each(before.RSS, after.RSS)/1024, each(before.Stacks, after.Stacks), each(before.Goroutines, after.Goroutines))
	return nil
}

// usage has the figures that the server reports.
type usage struct {
	RSS        uint64 `json:"rss"`
	Stacks     uint64 `json:"stacks"`
	Goroutines uint64 `json:"goroutines"`
}

func ask(method, address, path string, answer any) error {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

// open opens n sockets. If it returns an error, it also returns the sockets that it has
// opened.
func open(n int, o subscriber.Options) (sockets []*subscriber.Subscriber, failed error) {
	var (
		mu sync.Mutex // guards the results
		wg sync.WaitGroup
	)
	for i := range dialers {
		o := o
		o.From = from[i%len(from)]
		wg.Go(func() {
			for range (n + i) / dialers {
				s, err := subscriber.Dial(context.Background(), o)
				mu.Lock()
				if failed = cmp.Or(failed, err); err == nil {
					sockets = append(sockets, s)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return sockets, failed
}
