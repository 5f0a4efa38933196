package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// flaky fails the given number of times before it succeeds.
func flaky(failures int, tries *int) rpc.Caller {
	return rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) {
		if *tries++; *tries <= failures {
			return nil, io.EOF
		}
		return "pong", nil
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts     []rpc.CallOption
		failures int
		tries    int
		failed   bool
		took     time.Duration
	}{
		"none by default":         {nil, 1, 1, true, 0},
		"not after a success":     {[]rpc.CallOption{rpc.WithRetry(3)}, 0, 1, false, 0},
		"up to the maximum":       {[]rpc.CallOption{rpc.WithRetry(2)}, 9, 3, true, 4 * time.Second},
		"until it succeeds":       {[]rpc.CallOption{rpc.WithRetry(5)}, 2, 3, false, 4 * time.Second},
		"without end":             {[]rpc.CallOption{rpc.WithRetry(rpc.Unlimited)}, 100, 101, false, 200 * time.Second},
		"negative is none":        {[]rpc.CallOption{rpc.WithRetry(-1)}, 1, 1, true, 0},
		"the last option counts":  {[]rpc.CallOption{rpc.WithRetry(9), rpc.WithRetry(1)}, 9, 2, true, 2 * time.Second},
		"the delay may be chosen": {[]rpc.CallOption{rpc.Retry{Max: 3, Delay: minutes}}, 9, 4, true, 6 * time.Minute},
		"no delay at all":         {[]rpc.CallOption{rpc.Retry{Max: 3, Delay: none}}, 9, 4, true, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries, start := 0, time.Now()
				_, err := ping.Call(t.Context(), flaky(test.failures, &tries), rpc.Void{}, test.opts...)
				require.Equal(t, test.failed, err != nil)
				require.Equal(t, test.tries, tries)
				require.Equal(t, test.took, time.Since(start))
			})
		})
	}
}

func minutes(attempt int, _ error) time.Duration { return time.Duration(attempt) * time.Minute }

func none(int, error) time.Duration { return 0 }

func TestRetryIfIsAskedBeforeEachTry(t *testing.T) {
	t.Parallel()
	tries, asked := 0, 0
	_, err := ping.Call(t.Context(), flaky(9, &tries), rpc.Void{}, rpc.Retry{Max: 5, Delay: none, If: func(err error) bool {
		asked++
		return errors.Is(err, io.EOF) && asked < 3
	}})
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 3, tries)
	require.Equal(t, 3, asked)
}

func TestOnRetryLearnsHowTheTryEnded(t *testing.T) {
	t.Parallel()
	tries := 0
	var attempts []int
	var successes []bool
	_, err := ping.Call(t.Context(), flaky(2, &tries), rpc.Void{}, rpc.Retry{Max: 5, Delay: none,
		OnRetry: func(attempt int, err error) func(bool) {
			attempts = append(attempts, attempt)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, attempt, tries, "before the try")
			return func(success bool) { successes = append(successes, success) }
		}})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, attempts)
	require.Equal(t, []bool{false, true}, successes)
}

func TestOnRetryMayReturnNothing(t *testing.T) {
	t.Parallel()
	tries := 0
	_, err := ping.Call(t.Context(), flaky(1, &tries), rpc.Void{}, rpc.Retry{Max: 1, Delay: none,
		OnRetry: func(int, error) func(bool) { return nil }})
	require.NoError(t, err)
}

func TestAnEndedContextIsNotTried(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	for name, opts := range map[string][]rpc.CallOption{"without retry": nil, "with retry": {rpc.WithRetry(3)}} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			_, err := ping.Call(ctx, flaky(0, &tries), rpc.Void{}, opts...)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, io.ErrClosedPipe)
			require.Zero(t, tries)
		})
	}
}

func TestTheContextEndsThePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		tries, start := 0, time.Now()
		_, err := ping.Call(ctx, flaky(9, &tries), rpc.Void{}, rpc.WithRetry(rpc.Unlimited))
		require.ErrorIs(t, err, io.EOF, "the last error")
		require.Equal(t, 2, tries)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestInterceptorsRunOnceAroundAllTries(t *testing.T) {
	t.Parallel()
	tries, starts := 0, 0
	caller := rpc.NewCaller(
		func(context.Context, *rpc.Call) (any, error) { tries++; return nil, io.EOF },
		rpc.OnStart(func(context.Context, *rpc.Call) { starts++ }),
	)
	_, err := ping.Call(t.Context(), caller, rpc.Void{}, rpc.Retry{Max: 3, Delay: none})
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 4, tries)
	require.Equal(t, 1, starts)
}

// A call that the server has refused for good is not repeated, unless Retry.If allows it.
func TestRetryLeavesRefusalsAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		tries int
	}{
		"bad request":               {&rpc.Error{Code: rpc.CodeBadRequest}, 1},
		"unauthorized":              {&rpc.Error{Code: rpc.CodeUnauthorized}, 1},
		"wrapped":                   {fmt.Errorf("at first: %w", &rpc.Error{Code: rpc.CodeNotFound}), 1},
		"status of its own":         {&rpc.Error{Code: "MINE", Status: 460}, 1},
		"closed by the client":      {&rpc.Error{Code: rpc.CodeClientClosedRequest}, 1},
		"a stream":                  {&rpc.StreamError{Err: &rpc.Error{Code: rpc.CodeForbidden}}, 1},
		"timeout":                   {&rpc.Error{Code: rpc.CodeTimeout}, 3},
		"too early":                 {&rpc.Error{Code: "EARLY", Status: http.StatusTooEarly}, 3},
		"too many requests":         {&rpc.Error{Code: rpc.CodeTooManyRequests}, 3},
		"unavailable":               {&rpc.Error{Code: rpc.CodeServiceUnavailable}, 3},
		"internal":                  {&rpc.Error{Code: rpc.CodeInternalServerError}, 3},
		"code without a status":     {&rpc.Error{Code: "MINE"}, 3},
		"status that no answer has": {&rpc.Error{Code: "MINE", Status: 100}, 3},
		"network":                   {io.ErrUnexpectedEOF, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			failing := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) {
				tries++
				return nil, c.err
			})
			_, err := ping.Call(t.Context(), failing, rpc.Void{}, rpc.Retry{Max: 2, Delay: none})
			require.Error(t, err)
			require.Equal(t, c.tries, tries)

			tries = 0
			always := func(error) bool { return true }
			_, err = ping.Call(t.Context(), failing, rpc.Void{}, rpc.Retry{Max: 2, Delay: none, If: always})
			require.Error(t, err)
			require.Equal(t, 3, tries)
		})
	}
}

// A call that fails before it is sent, or after the method has run, fails again each time.
func TestRetryLeavesValuesAlone(t *testing.T) {
	t.Parallel()
	sent := 0
	link := rpc.NewLink("http://test", &rpc.LinkOptions{HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"json":"text"}`)),
		}, nil
	})}})
	_, err := rpc.Define[chan int, string]("p").Call(t.Context(), link, make(chan int), rpc.Retry{Max: 2, Delay: none})
	require.ErrorContains(t, err, "chan int")
	require.Zero(t, sent)

	_, err = rpc.Define[rpc.Void, int]("p").Call(t.Context(), link, rpc.Void{}, rpc.Retry{Max: 2, Delay: none})
	require.ErrorContains(t, err, "decode output")
	require.Equal(t, 1, sent)
}

// WithRetry tries again every 2 s, unless a further try cannot succeed.
func TestWithRetry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code  rpc.Code
		tries int
	}{
		"refused for good": {rpc.CodeNotFound, 1},
		"refused for now":  {rpc.CodeServiceUnavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries, begin := 0, time.Now()
				failing := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) {
					tries++
					return nil, &rpc.Error{Code: test.code}
				})
				_, err := ping.Call(t.Context(), failing, rpc.Void{}, rpc.WithRetry(2))
				require.Equal(t, test.code, rpc.CodeOf(err))
				require.Equal(t, test.tries, tries)
				require.Equal(t, time.Duration(test.tries-1)*2*time.Second, time.Since(begin))
			})
		})
	}
}
