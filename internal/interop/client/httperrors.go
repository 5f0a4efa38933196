package main

import (
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// httpErrorChecks returns the checks of errors over HTTP.
func httpErrorChecks() []check {
	checks := []check{
		{name: "http: unknown procedures", run: func(t *T) {
			link := t.link(client.Options{})
			for _, path := range []string{"nothing", "nothing.here", "nested", "nested.ping.more"} {
				_, err := rpc.Define[any, any](path).Call(t, link, value.Undefined{})
				t.refused(err, rpc.Error{Code: rpc.CodeNotFound, Status: 404})
			}
		}},
		{name: "http: validation error with issues", run: func(t *T) {
			link := t.link(client.Options{})
			for _, in := range []any{map[string]any{}, map[string]any{"message": 1.0}, nil, value.Undefined{}} {
				_, err := sendAnything.Call(t, link, in)
				t.invalid(err)
			}
		}},
		{name: "http: retry", run: func(t *T) {
			var attempts []int
			_, err := fail.Call(t, t.link(client.Options{}), failInput{"custom"}, rpc.Retry{
				Max:     2,
				If:      func(error) bool { return true },
				Delay:   func(int, error) time.Duration { return time.Millisecond },
				OnRetry: func(attempt int, _ error) func(bool) { attempts = append(attempts, attempt); return nil },
			})
			t.refused(err, rpc.Error{Code: "MY_OWN_CODE", Status: 460})
			t.equal(attempts, []int{1, 2})
		}},
	}
	return append(checks, failChecks("http: ", true, func(t *T) (rpc.Procedure[failInput, rpc.Void], rpc.Caller) {
		return fail, t.link(client.Options{})
	})...)
}

// failChecks returns the checks of a procedure that fails in several ways. A declared error
// is defined only for procedures, not for the methods of a room.
func failChecks(prefix string, defined bool, on func(*T) (rpc.Procedure[failInput, rpc.Void], rpc.Caller)) []check {
	call := func(t *T, kind string) error {
		procedure, caller := on(t)
		_, err := procedure.Call(t, caller, failInput{kind})
		return err
	}
	return []check{
		{name: prefix + "declared error", run: func(t *T) {
			err := call(t, "defined")
			t.refused(err, rpc.Error{Defined: defined, Code: "TEAPOT", Status: 418, Message: "I am a teapot"})
			data, ok := errTeapot.As(err)
			t.assertf(ok, "the error is the declared one: %v", err)
			t.equal(data, teapot{"green"})
		}},
		{name: prefix + "error data with natives", run: func(t *T) {
			err := call(t, "orpc")
			t.refused(err, rpc.Error{Code: rpc.CodeConflict, Status: 409, Message: "already there"})
			data, err := rpc.ErrorData[conflict](err)
			t.ok(err)
			t.equal(data, conflict{big.NewInt(7), time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)})
		}},
		{name: prefix + "code of the application", run: func(t *T) {
			err := call(t, "custom")
			t.refused(err, rpc.Error{Code: "MY_OWN_CODE", Status: 460, Message: "own"})
			data, err := rpc.ErrorData[[]int](err)
			t.ok(err)
			t.equal(data, []int{1, 2})
		}},
		{name: prefix + "other errors are hidden", run: func(t *T) {
			err := call(t, "plain")
			t.refused(err, rpc.Error{Code: rpc.CodeInternalServerError, Status: 500, Message: "Internal server error"})
			t.assertf(t.sent(err).Data == nil, "there is no data: %v", t.sent(err).Data)
			t.assertf(!strings.Contains(err.Error(), "secret"), "the secret is not sent: %v", err)
		}},
	}
}

// sent returns the error that the server has sent.
func (t *T) sent(err error) *rpc.Error {
	e, ok := errors.AsType[*rpc.Error](err)
	t.assertf(ok, "the error is from the server: %v", err)
	return e
}

// refused ends the check unless the server has sent the error want. An empty message
// matches any.
func (t *T) refused(err error, want rpc.Error) {
	e := t.sent(err)
	same := e.Code == want.Code && rpc.ToError(e).Status == want.Status && e.Defined == want.Defined &&
		(want.Message == "" || e.Message == want.Message)
	t.assertf(same, "got %s, status %d, defined %t: %q, want %s, status %d, defined %t: %q",
		e.Code, rpc.ToError(e).Status, e.Defined, e.Message, want.Code, want.Status, want.Defined, want.Message)
}

// invalid ends the check unless the server has refused an input, with issues.
func (t *T) invalid(err error) {
	t.refused(err, rpc.Error{Code: rpc.CodeBadRequest, Status: 400, Message: "Input validation failed"})
	data, err := rpc.ErrorData[rpc.ValidationIssues](err)
	t.ok(err)
	t.assertf(len(data.Issues) > 0 && data.Issues[0].Message != "", "there are issues with messages: %v", data.Issues)
}
