package durableobject_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// A newHub that waits for itself receives ErrRecursive at once.
func TestNewHubAsksForItself(t *testing.T) {
	t.Parallel()
	type namespace = durableobject.Namespace[*durableobject.Object[message]]
	for name, test := range map[string]struct {
		asks  map[string]string // what the newHub of each object gets
		slow  string            // the object whose newHub waits a second before that
		gets  []string          // at the same time
		fails int
	}{
		"directly":                    {map[string]string{"a": "a"}, "", []string{"a"}, 1},
		"through another":             {map[string]string{"a": "b", "b": "a"}, "", []string{"a"}, 1},
		"through a third":             {map[string]string{"a": "b", "b": "c", "c": "a"}, "", []string{"a"}, 1},
		"two ask for each other":      {map[string]string{"a": "b", "b": "a"}, "a", []string{"a", "b"}, 2},
		"three ask in a circle":       {map[string]string{"a": "b", "b": "c", "c": "a"}, "a", []string{"a", "b", "c"}, 3},
		"another that asks for it":    {map[string]string{"a": "b", "b": "b"}, "", []string{"a"}, 1},
		"others that do not ask back": {map[string]string{"a": "b", "b": "c"}, "a", []string{"a", "b", "c"}, 0},
		"two ask for a third":         {map[string]string{"a": "c", "b": "c"}, "c", []string{"a", "b"}, 0},
	} {
		for kind, with := range map[string]func(context.Context) context.Context{
			"":                              func(ctx context.Context) context.Context { return ctx },
			", with a context of their own": func(context.Context) context.Context { return context.Background() },
		} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var spaces [2]*namespace // a, c, … are in one and b, d, … in the other
					of := func(channel string) *namespace { return spaces[(channel[0]-'a')%2] }
					for i := range spaces {
						spaces[i] = durableobject.NewNamespace(func(ctx context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
							if o.Channel() == test.slow {
								time.Sleep(time.Second)
							}
							if next, ok := test.asks[o.Channel()]; ok {
								if _, err := of(next).Get(with(ctx), next); err != nil {
									return nil, err
								}
							}
							return o, nil
						}, &durableobject.Options{Verifier: secret})
					}
					errs := make(chan error, len(test.gets))
					for _, channel := range test.gets {
						go func() {
							_, err := of(channel).Get(t.Context(), channel)
							errs <- err
						}()
					}
					failed := 0
					for range test.gets {
						if err := <-errs; err != nil {
							require.ErrorIs(t, err, durableobject.ErrRecursive)
							failed++
						}
					}
					require.Equal(t, test.fails, failed)
					for _, ns := range spaces {
						require.NoError(t, ns.Shutdown(t.Context()))
					}
				})
			})
		}
	}
}

// Both the object that newHub has requested and its own object can be used after the error.
func TestNewHubMakesDoWithoutItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rooms *durableobject.Namespace[*room]
		var kept context.Context
		rooms = durableobject.NewNamespace(func(ctx context.Context, o *durableobject.Object[message]) (*room, error) {
			kept = ctx
			_, err := rooms.Get(ctx, o.Channel())
			if !errors.Is(err, durableobject.ErrRecursive) {
				return nil, err
			}
			return &room{o, &roomHooks{}}, o.PublishEvent(ctx, message{"the object can be used"})
		}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute})
		first, err := rooms.Get(t.Context(), "a")
		require.NoError(t, err)
		second, err := rooms.Get(kept, "a")
		require.NoError(t, err, "newHub has returned")
		require.Same(t, first, second)
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}
