// Package chromium drives a Chromium for tests, over the DevTools protocol.
package chromium

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// startTimeout is how long a browser may take to start on a busy machine.
const startTimeout = time.Minute

// Browser is a headless Chromium. It is safe for concurrent use.
type Browser struct {
	cmd     *exec.Cmd
	profile string
	ended   chan struct{} // closed when the process has ended

	conn   *websocket.Conn
	cancel context.CancelFunc // stops the reader

	mu        sync.Mutex // guards the fields below
	last      int
	answers   map[int]chan<- answer // nil when the connection is lost
	listeners map[string][]func([]byte)
}

// Start starts the program chromium, or the one that the environment variable CHROMIUM
// names. The caller must close the browser.
func Start(ctx context.Context) (*Browser, error) {
	b, err := start(ctx)
	if err != nil {
		return nil, fmt.Errorf("chromium: start: %w", err)
	}
	return b, nil
}

func start(ctx context.Context) (_ *Browser, err error) {
	name := os.Getenv("CHROMIUM")
	if name == "" {
		name = "chromium"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("install chromium, or set CHROMIUM: %w", err)
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, path, //nolint:gosec // a program on the path
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
		"--force-color-profile=srgb", "--remote-debugging-port=0", "--user-data-dir="+profile, "about:blank")
	cmd.Stderr = &complaints
	b := &Browser{
		cmd: cmd, profile: profile, ended: make(chan struct{}),
		answers: map[int]chan<- answer{}, listeners: map[string][]func([]byte){},
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(profile))
	}
	go func() {
		_ = cmd.Wait()
		close(b.ended)
	}()
	defer func() {
		if err != nil {
			_ = cmd.Process.Kill()
			<-b.ended
			err = errors.Join(fmt.Errorf("%w: %s", err, complaints.String()), os.RemoveAll(profile))
		}
	}()
	address, err := b.address(ctx)
	if err != nil {
		return nil, err
	}
	b.conn, _, err = websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	b.conn.SetReadLimit(64 << 20) // for screenshots
	reading, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go b.read(reading)
	return b, nil
}

// address waits until the browser has written the address that it listens on.
func (b *Browser) address(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		text, err := os.ReadFile(filepath.Join(b.profile, "DevToolsActivePort"))
		if lines := strings.Fields(string(text)); err == nil && len(lines) == 2 {
			return "ws://127.0.0.1:" + lines[0] + lines[1], nil
		}
		select {
		case <-tick.C:
		case <-b.ended:
			return "", errors.New("it has ended")
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Close ends the browser and removes its files.
func (b *Browser) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := b.call(ctx, "", "Browser.close", nil)
	select {
	case <-b.ended:
		err = nil
	case <-ctx.Done():
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
	b.cancel()
	return errors.Join(err, b.removeProfile())
}

// removeProfile removes the files of the browser. Its child processes may still be writing.
func (b *Browser) removeProfile() (err error) {
	for range 50 {
		if err = os.RemoveAll(b.profile); err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return err
}
