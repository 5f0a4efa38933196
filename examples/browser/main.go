// Command browser is a chat in web pages: the pages are in web, and their scripts use
// the client in client/js.
//
//	go generate ./examples/browser       builds the scripts, with Node and npm
//	go run ./examples/browser            serves http://127.0.0.1:3000
//	go run ./examples/browser -data DIR  the same, with the messages on disk
//
// Kill it while people send messages and start it again: with -data nothing is missing, and
// without it the pages show where messages are missing.
package main

//go:generate go run . -types web/src/contract.ts
//go:generate npm --prefix ../../client/js ci
//go:generate npm --prefix ../../client/js run build
//go:generate npm --prefix web ci
//go:generate npm --prefix web run build

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/typescript"
	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	c := config{
		Key:    token.Secret(rand.Text()), // pages with a token of another key fetch a new one
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	flag.StringVar(&c.Addr, "addr", "127.0.0.1:3000", "listen here")
	flag.StringVar(&c.Data, "data", "", "keep the messages in this directory; nothing is lost if the server is killed")
	flag.StringVar(&c.Web, "web", "examples/browser/web/public", "the directory of the pages")
	flag.Func("origin", "let pages of this origin connect, as https://example.com; may be repeated", func(s string) error {
		c.Origins = append(c.Origins, strings.TrimRight(s, "/"))
		return nil
	})
	types := flag.String("types", "", "write the contract to this file, as TypeScript, and exit")
	flag.Parse()
	if *types != "" {
		exitOn(typescript.WriteFile(*types, module))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exitOn(run(ctx, c, os.Stdout))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints its address when it is ready.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	files, err := pages(c.Web)
	if err != nil {
		return err
	}
	log, err := openLog(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	handler, shutdown := newServer(c, files, log)
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	fmt.Fprintln(out, "http://"+ln.Addr().String())
	if err = srv.Serve(ln); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, shutdown(last))
}
