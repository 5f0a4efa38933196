package service

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// room is the object of a channel.
type room struct {
	*durableobject.Object[event]
	*counters
	cluster *cluster // nil: the channel is on one node
}

// counters are by channel and key.
type counters struct {
	mu      sync.Mutex
	begun   map[string]int // calls of slow
	aborted map[string]int // of these
	calls   map[string]int
}

func newCounters() *counters {
	return &counters{begun: map[string]int{}, aborted: map[string]int{}, calls: map[string]int{}}
}

func (r *room) key(key string) string { return r.Channel() + "/" + key }

func newRoom(_ context.Context, o *durableobject.Object[event]) (*room, error) {
	return &room{Object: o, counters: newCounters()}, nil
}

// roomsOf returns the function that makes the rooms of one of the nodes of c, which may be
// nil.
func roomsOf(c *cluster) func(context.Context, *durableobject.Object[event]) (*room, error) {
	if c == nil {
		return newRoom
	}
	return func(_ context.Context, o *durableobject.Object[event]) (*room, error) {
		return &room{Object: o, counters: c.counters, cluster: c}, nil
	}
}

func handle(rooms *durableobject.Namespace[*room]) {
	durableobject.Handle(rooms, singleClient, (*room).singleClient)
	durableobject.Handle(rooms, hiddenClient, (*room).hiddenClient)
	durableobject.Handle(rooms, routerPing, (*room).routerPing)
	durableobject.Handle(rooms, routerEcho, (*room).routerEcho)
	durableobject.Handle(rooms, toolboxEcho, (*room).echo)
	durableobject.Handle(rooms, toolboxWhoami, (*room).whoami)
	durableobject.Handle(rooms, toolboxFail, (*room).fail)
	durableobject.Handle(rooms, toolboxSlow, (*room).slow)
	durableobject.Handle(rooms, toolboxBegun, (*room).countBegun)
	durableobject.Handle(rooms, toolboxAborted, (*room).countAborted)
	durableobject.Handle(rooms, toolboxFlaky, (*room).flaky)
	durableobject.Handle(rooms, toolboxPublish, (*room).publishInput)
	durableobject.Handle(rooms, toolboxUpload, (*room).upload)
	durableobject.Handle(rooms, toolboxDownload, (*room).download)
	durableobject.Handle(rooms, toolboxRawFile, (*room).rawFile)
	durableobject.HandleEvents(rooms, toolboxCount, (*room).count)
}

// attachment is the part of a token's attachment that the server reads.
type attachment struct {
	Role    string `json:"role"`
	Welcome bool   `json:"welcome"`
}

func attachmentOf(ws *durableobject.Websocket) attachment {
	att, err := token.Att[attachment](ws.Token())
	if err != nil {
		return attachment{} // none, or one of another form
	}
	return att
}

func (r *room) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	if !attachmentOf(ws).Welcome {
		return nil
	}
	return r.PublishEvent(ctx, event{Message: "welcome"}, durableobject.WithTargets(ws))
}

func (r *room) singleClient(ctx context.Context, ws *durableobject.Websocket, in singleInput) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, event{Message: *in.Message}, durableobject.WithExclude(ws))
}

func (r *room) hiddenClient(context.Context, *durableobject.Websocket, rpc.Void) (rpc.Void, error) {
	return rpc.Void{}, nil
}

func (r *room) routerPing(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return "pong", nil
}

func (r *room) routerEcho(_ context.Context, _ *durableobject.Websocket, in textInput) (string, error) {
	return "Echo: " + *in.Text, nil
}

func (r *room) echo(_ context.Context, _ *durableobject.Websocket, in value.Value) (value.Value, error) {
	return in, nil
}

func (r *room) whoami(_ context.Context, ws *durableobject.Websocket, _ rpc.Void) (whoami, error) {
	p := ws.Token()
	return whoami{
		ID: ws.ID(), Channel: p.Channel, Tags: p.Tags, Att: p.Att, RPC: p.RPC,
		Iat: unix(p.IssuedAt), Exp: unix(p.ExpiresAt),
	}, nil
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (r *room) fail(_ context.Context, _ *durableobject.Websocket, in failInput) (rpc.Void, error) {
	return rpc.Void{}, failure(in.Kind)
}

func (r *room) slow(ctx context.Context, _ *durableobject.Websocket, in slowInput) (string, error) {
	r.mu.Lock()
	r.begun[r.key(in.Key)]++
	r.mu.Unlock()
	select {
	case <-time.After(milliseconds(in.MS)):
		return "done", nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.aborted[r.key(in.Key)]++
		return "", ctx.Err()
	}
}

func (r *room) countBegun(_ context.Context, _ *durableobject.Websocket, in keyInput) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun[r.key(in.Key)], nil
}

func (r *room) countAborted(_ context.Context, _ *durableobject.Websocket, in keyInput) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.aborted[r.key(in.Key)], nil
}

func (r *room) flaky(_ context.Context, _ *durableobject.Websocket, in flakyInput) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[r.key(in.Key)]++
	if r.calls[r.key(in.Key)] <= in.Failures {
		return 0, &rpc.Error{Code: rpc.CodeServiceUnavailable}
	}
	return r.calls[r.key(in.Key)], nil
}

func (r *room) count(ctx context.Context, _ *durableobject.Websocket, in countInput, w *rpc.EventWriter[counted]) (countTotal, error) {
	return countTo(ctx, in, w)
}

// publishInput publishes the event of a caller.
func (r *room) publishInput(ctx context.Context, _ *durableobject.Websocket, in publishInput) (rpc.Void, error) {
	opts, err := r.options(ctx, in)
	if err != nil {
		return rpc.Void{}, err
	}
	return rpc.Void{}, r.PublishEvent(ctx, event{Message: *in.Message, Data: in.Data}, opts...)
}

func (r *room) options(ctx context.Context, in publishInput) ([]durableobject.PublishOption, error) {
	var opts []durableobject.PublishOption
	if in.Tags != nil {
		opts = append(opts, durableobject.WithTags(in.Tags...))
	}
	var targets, excludes []func(*durableobject.Websocket) bool
	if in.Role != nil {
		targets = append(targets, func(ws *durableobject.Websocket) bool { return attachmentOf(ws).Role == *in.Role })
	}
	if in.TargetIDs != nil {
		targets = append(targets, withID(in.TargetIDs))
	}
	if in.ExcludeIDs != nil {
		excludes = append(excludes, withID(in.ExcludeIDs))
	}
	more, err := r.filters(ctx, targets, durableobject.WithTargetsFunc, durableobject.WithTargetIDs)
	if err != nil {
		return nil, err
	}
	opts = append(opts, more...)
	if more, err = r.filters(ctx, excludes, durableobject.WithExcludeFunc, durableobject.WithExcludeIDs); err != nil {
		return nil, err
	}
	opts = append(opts, more...)
	if in.Meta != nil {
		meta, err := in.Meta.meta()
		if err != nil {
			return nil, err
		}
		opts = append(opts, durableobject.WithEventMeta(meta))
	}
	return opts, nil
}

// filters returns the options for filters of sockets. If nodes share a log it finds the ids
// of the sockets itself.
func (r *room) filters(ctx context.Context, filters []func(*durableobject.Websocket) bool,
	byFilter func(func(*durableobject.Websocket) bool) durableobject.PublishOption, byID func(...string) durableobject.PublishOption,
) ([]durableobject.PublishOption, error) {
	opts := make([]durableobject.PublishOption, len(filters))
	for i, filter := range filters {
		if r.cluster == nil {
			opts[i] = byFilter(filter)
			continue
		}
		ids, err := r.cluster.ids(ctx, r.Channel(), filter)
		if err != nil {
			return nil, err
		}
		opts[i] = byID(ids...)
	}
	return opts, nil
}

func withID(ids []string) func(*durableobject.Websocket) bool {
	return func(ws *durableobject.Websocket) bool { return slices.Contains(ids, ws.ID()) }
}

func (m *eventMeta) meta() (rpc.EventMeta, error) {
	meta := rpc.EventMeta{ID: m.ID, Comments: m.Comments}
	if m.Retry != nil {
		if *m.Retry < 0 || *m.Retry != math.Trunc(*m.Retry) || *m.Retry > 1<<40 {
			return meta, rpc.Errorf(rpc.CodeBadRequest, "retry is not a number of milliseconds")
		}
		meta.Retry = milliseconds(*m.Retry)
	}
	return meta, nil
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
