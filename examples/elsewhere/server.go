package main

import (
	"context"
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Team is the object of a channel.
type Team struct{ *durableobject.Object[Job] }

type hub struct {
	teams *durableobject.Namespace[*Team]
}

// newHub returns the handler of the process that has the sockets, and a function to shut it
// down. A caller with the service token may publish.
func newHub(key token.Secret, serviceToken string) (http.Handler, func(context.Context) error) {
	h := &hub{durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Job]) (*Team, error) {
		return &Team{o}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: 2 * time.Minute})}

	// Users and services have separate routers, so that neither can call the procedures of
	// the other.
	users := rpc.NewRouter(Watch.Handler(h.watch))
	services := rpc.NewRouter(Publish.Handler(h.publish))
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(users, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
	}))
	mux.Handle("/services/", rpc.NewHandler(services, &rpc.HandlerOptions{
		Prefix: "/services", Interceptors: []rpc.Interceptor{bearer(serviceToken)},
	}))
	mux.Handle("/socket", durableobject.NewHandler(h.teams, nil))
	return mux, h.teams.Shutdown
}

func (h *hub) watch(_ context.Context, in WatchInput) (*durableiterator.Subscription[Job], error) {
	return durableiterator.New[Job](in.Team, &durableiterator.Options{Tags: in.Tags}), nil // a real hub authenticates the user
}

// publish publishes the event of a service.
func (h *hub) publish(ctx context.Context, in PublishInput) (rpc.Void, error) {
	team, err := h.teams.Get(ctx, in.Channel)
	if err != nil {
		return rpc.Void{}, err
	}
	return rpc.Void{}, team.PublishEvent(ctx, in.Event, in.options()...)
}

func (in PublishInput) options() []durableobject.PublishOption {
	options := []durableobject.PublishOption{
		durableobject.WithExcludeIDs(in.ExcludeIDs...),
		durableobject.WithEventMeta(rpc.EventMeta{
			Retry: time.Duration(in.Meta.RetryMS) * time.Millisecond, Comments: in.Meta.Comments,
		}),
	}
	if in.Tags != nil {
		options = append(options, durableobject.WithTags(in.Tags...))
	}
	if in.TargetIDs != nil {
		options = append(options, durableobject.WithTargetIDs(in.TargetIDs...))
	}
	return options
}

// bearer refuses calls without the right token. As an interceptor of the handler it runs
// before the input is decoded.
func bearer(serviceToken string) rpc.Interceptor {
	want := []byte("Bearer " + serviceToken)
	return func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if subtle.ConstantTimeCompare([]byte(call.Header.Get("Authorization")), want) != 1 {
			return nil, rpc.Errorf(rpc.CodeUnauthorized, "service token required")
		}
		return next(ctx, call)
	}
}
