package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// grace is how long a check whose time is up may take to report what it was waiting for.
const grace = 5 * time.Second

// check is one behaviour that a server must have.
type check struct {
	name string
	run  func(*T)
	// extension is set if only servers of this library have the behaviour.
	extension bool
	// weakness is the name of the weakness for which oRPC's server does not have the
	// behaviour, or empty.
	weakness string
}

// beyond reports whether oRPC's server need not pass the check.
func (c check) beyond() bool { return c.extension || c.weakness != "" }

func (c check) title() string {
	switch {
	case c.weakness != "":
		return c.name + " (" + c.weakness + ")"
	case c.extension:
		return c.name + " (extension)"
	}
	return c.name
}

// suite runs checks and reports them.
type suite struct {
	out            io.Writer
	only           string // the names of the checks to run contain it
	extensions     bool   // extensions count
	patience       time.Duration
	passed, failed int
}

// run runs the checks one after the other. It is an error if none has passed.
func (s *suite) run(ctx context.Context, checks []check, at target) error {
	for _, c := range checks {
		if ctx.Err() != nil {
			break
		}
		if strings.Contains(c.name, s.only) {
			s.report(c, s.outcome(ctx, c, at))
		}
	}
	// The result is valid even if it cannot be written.
	_, _ = fmt.Fprintf(s.out, "%d passed, %d failed\n", s.passed, s.failed)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", ctx.Err())
	case s.failed > 0:
		return errFailed
	case s.passed == 0:
		return fmt.Errorf("no check has passed, of those with %q in their names", s.only)
	}
	return nil
}

// report counts an outcome and writes its line.
func (s *suite) report(c check, failure error) {
	name, word := c.title(), "ok   "
	if failure != nil {
		word = "FAIL "
		name += ": " + oneLine(failure.Error())
	}
	switch {
	case c.beyond() && !s.extensions:
		if failure != nil {
			word = "lacks"
			if c.weakness != "" {
				name += "; known: " + weaknesses[c.weakness]
			}
		}
	case failure == nil:
		s.passed++
	default:
		s.failed++
	}
	_, _ = fmt.Fprintln(s.out, word, name)
}

// outcome returns why a check has failed, or nil if it has passed. A check that ignores
// the end of its context is left running.
func (s *suite) outcome(ctx context.Context, c check, at target) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		t := &T{Context: ctx, target: at}
		defer func() { done <- t.failure }()
		defer t.tidy()
		defer t.recover()
		c.run(t)
	}()
	late := time.NewTimer(s.patience + grace)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("hangs since %v", s.patience)
	}
}

// T is a running check. Its methods must be called on the goroutine of the check. They end
// the check if they find a fault.
type T struct {
	context.Context // ends after the check's timeout
	target

	failure  error
	cleanups []func()
}

// failf ends the check. Only the first failure is reported.
func (t *T) failf(format string, args ...any) {
	if t.failure == nil {
		t.failure = fmt.Errorf(format, args...)
	}
	runtime.Goexit()
}

// ok ends the check if there is an error.
func (t *T) ok(err error) {
	if err != nil {
		t.failf("%w", err)
	}
}

// assertf ends the check if a condition does not hold; format describes it.
func (t *T) assertf(holds bool, format string, args ...any) {
	if !holds {
		t.failf("not so: "+format, args...)
	}
}

// equal ends the check if two values differ, as describe sees them.
func (t *T) equal(got, want any) {
	if g, w := describe(got), describe(want); g != w {
		t.failf("got %s, want %s", shortened(g), shortened(w))
	}
}

// until waits until a condition holds.
func (t *T) until(what string, holds func() bool) {
	for !holds() {
		t.pause(10*time.Millisecond, what)
	}
}

// pause sleeps until a condition is checked again.
func (t *T) pause(d time.Duration, what string) {
	select {
	case <-time.After(d):
	case <-t.Done():
		t.failf("waiting for %s: %w", what, t.Err())
	}
}

// cleanup calls fn when the check has ended, before the functions of earlier calls.
func (t *T) cleanup(fn func()) { t.cleanups = append(t.cleanups, fn) }

func (t *T) tidy() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		fn := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		fn()
	}
}

// recover turns a panic into a failure.
func (t *T) recover() {
	if value := recover(); value != nil {
		t.failure = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
	}
}

// oneLine replaces the line breaks of a string.
func oneLine(text string) string {
	return shortened(strings.ReplaceAll(strings.ReplaceAll(text, "\n", "; "), "\t", ""))
}

// shortened bounds the length of a printed value.
func shortened(text string) string {
	const enough = 1000
	if len(text) > enough {
		return fmt.Sprintf("%s… (%d bytes)", text[:enough], len(text))
	}
	return text
}
