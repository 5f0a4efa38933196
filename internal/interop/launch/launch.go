// Package launch starts servers for the tests of the wire format.
package launch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"
)

// How long a server may take to become ready, and to end.
const (
	startPatience = 30 * time.Second
	endPatience   = 20 * time.Second
)

// Go runs a program of this library as [Server] does, built from the folder of its package,
// with these arguments. If the test runs with the race detector, so does the program.
func Go(t *testing.T, folder string, addresses any, arguments ...string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, folder)...).CombinedOutput() //nolint:gosec // from tests
	if err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	arguments = append([]string{"-addr", "127.0.0.1:0"}, arguments...)
	Server(t, exec.Command(program, arguments...), addresses) //nolint:gosec,noctx // it was just built; it ends with the test
}

// Server runs cmd until the test has ended. When cmd is ready it must print its addresses
// as one line of JSON, which is decoded into addresses, and nothing else after that; on
// SIGTERM it must exit with status 0.
func Server(t *testing.T, cmd *exec.Cmd, addresses any) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	kill := func() { _ = cmd.Process.Kill() } // returns an error if it has ended
	late := time.AfterFunc(startPatience, kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	late.Stop()

	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // returns an error if it has ended, which Wait reports
		late := time.AfterFunc(endPatience, kill)
		defer late.Stop()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", cmd, err, stderr.String())
		}
	})
	if err == nil {
		err = json.Unmarshal(line, addresses)
	}
	if err != nil {
		t.Fatalf("%s did not become ready: %v", cmd, err)
	}
}
