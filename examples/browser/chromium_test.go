//go:build e2e

// The tests with the tag e2e run in Chromium. They fail if Chromium, Node or npm is not
// installed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/child"
	"github.com/go-orpc/durable-iterator/internal/chromium"
	"github.com/go-orpc/durable-iterator/token"
)

// serveVariable is the environment variable that makes the test binary a server. Its value
// is a configuration.
const serveVariable = "BROWSER_EXAMPLE_SERVE"

// These are used by all tests.
var (
	browser *chromium.Browser
	webDir  string // the pages, with scripts that were built for the tests
)

func TestMain(m *testing.M) {
	if text := os.Getenv(serveVariable); text != "" {
		exit(serveUntilClosed(text))
	}
	status := 1
	err := prepare()
	if err == nil {
		status = m.Run()
		err = errors.Join(browser.Close(), os.RemoveAll(webDir))
	}
	if err != nil {
		exit(err)
	}
	os.Exit(status)
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// prepare starts the browser and builds the pages.
func prepare() (err error) {
	if webDir, err = os.MkdirTemp("", "pages"); err != nil {
		return err
	}
	build := exec.Command(filepath.FromSlash("node_modules/.bin/esbuild"), "src/chat.ts", "src/plain.ts", "test/lab.ts",
		"--bundle", "--format=esm", "--target=es2022", "--outbase=.", "--entry-names=[name]", "--outdir="+filepath.Join(webDir, "dist"))
	build.Dir = "web"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go generate ./examples/browser prepares these tests: %w: %s", err, out)
	}
	for _, name := range []string{"public/index.html", "public/plain.html", "public/plain.css", "public/style.css", "public/icon.svg", "test/lab.html"} {
		text, err := os.ReadFile(filepath.Join("web", filepath.FromSlash(name)))
		if err == nil {
			err = os.WriteFile(filepath.Join(webDir, filepath.Base(name)), text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	browser, err = chromium.Start(context.Background())
	return err
}

// serveUntilClosed serves with a configuration until standard input is closed, so that no
// server outlives the tests.
func serveUntilClosed(text string) error {
	var c serverConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	c.config.Key = token.Secret(c.Key)
	return run(ctx, c.config, os.Stdout)
}

// serverConfig is a configuration for another process. It includes the key.
type serverConfig struct {
	config

	Key string
}

// server is a process that serves the pages, and can be killed and started again.
type server struct {
	t       *testing.T
	config  serverConfig
	process *child.Process
	url     string
}

// startServer starts a server with the log in a new directory.
func startServer(t *testing.T, c config) *server {
	t.Helper()
	c.Addr, c.Web, c.Data = "127.0.0.1:0", webDir, t.TempDir()
	s := &server{t: t, config: serverConfig{c, "the key of the tests"}}
	s.start()
	s.config.Addr = strings.TrimPrefix(s.url, "http://")
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	text, err := json.Marshal(s.config)
	require.NoError(s.t, err)
	process, err := child.Start(context.Background(), serveVariable+"="+string(text), nil, func(line string) error {
		s.url = line
		return nil
	})
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(s.t, process.Wait(ctx))
	s.process = process
}

// kill kills the process of the server.
func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Kill()
		s.process = nil
	}
}

// lab opens a page that only has the client.
func (s *server) lab() *chromium.Page {
	s.t.Helper()
	p := browser.Open(s.t, s.url+"/lab.html")
	p.Until("window.listen")
	return p
}

// chat opens the chat.
func (s *server) chat(name string) *chromium.Page {
	s.t.Helper()
	p := browser.Open(s.t, s.url+"/?name="+name)
	p.Until(isLive)
	return p
}

const isLive = "document.getElementById('state')?.dataset.state === 'live'"

// pause waits while pages do something.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
