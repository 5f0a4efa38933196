package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
)

// host is the server on a network in memory, so that it fits into a bubble.
type host struct {
	*memhttp.Server
	t      *testing.T
	server *server
	short  *durableobject.Namespace[*room] // of some recordings: keeps events for 2 s
}

func newHost(t *testing.T) *host {
	t.Helper()
	return newHostWith(t, nil)
}

// newHostWith makes a host whose chat rooms are opened by another handler, if one
// is given.
func newHostWith(t *testing.T, chatRoom func(*server) http.Handler) *host {
	t.Helper()
	h := &host{t: t, server: newServer(options{retention: 2 * time.Minute, logger: slog.New(slog.DiscardHandler)})}
	h.short = durableobject.NewNamespace(newRoom, &durableobject.Options{Verifier: secret, ResumeRetention: 2 * time.Second})
	mux := http.NewServeMux()
	mux.Handle("/", h.server)
	mux.Handle("/short-room", durableobject.NewHandler(h.short, nil))
	mux.HandleFunc("POST /extra/{method}", h.extra)
	if chatRoom != nil {
		mux.Handle("/chat-room", chatRoom(h.server))
	}
	h.Server = memhttp.NewServer(mux)
	return h
}

// close closes everything. In a bubble, no goroutine may be left.
func (h *host) close() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(h.t, h.server.shutdown(ctx))
	require.NoError(h.t, h.short.Shutdown(ctx))
	h.Close()
}

// extra publishes events for scenarios that call a stub of the object instead of
// procedures.
func (h *host) extra(w http.ResponseWriter, r *http.Request) {
	out, err := h.publish(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(out))
}

func (h *host) publish(r *http.Request) (answer string, err error) {
	var in struct {
		Room string            `json:"room"`
		Args []json.RawMessage `json:"args"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return "", err
	}
	room, err := h.short.Get(r.Context(), in.Room)
	if err != nil {
		return "", err
	}
	var payload struct {
		Message string `json:"message"`
	}
	var filter struct {
		Tags []string `json:"tags"`
	}
	var ids, excluded []string
	var opts []durableobject.PublishOption
	answer = "null"
	switch method := r.PathValue("method"); method {
	case "pub":
		err = arguments(in.Args, &payload, &filter)
		if filter.Tags != nil {
			opts = append(opts, durableobject.WithTags(filter.Tags...))
		}
	case "pubIds":
		err = arguments(in.Args, &payload, &ids, &excluded)
		opts = append(opts, durableobject.WithTargetsFunc(withID(ids)), durableobject.WithExcludeFunc(withID(excluded)))
	case "pubArray":
		err = arguments(in.Args, &payload, &ids)
		for ws := range room.Websockets() {
			if slices.Contains(ids, ws.ID()) {
				opts = append(opts, durableobject.WithTargets(ws))
			}
		}
	case "stubFunctionTargets": // () => false
		opts, answer = append(opts, durableobject.WithTargetsFunc(withID(nil))), `"ok"`
	case "stubFunctionExclude":
		payload.Message = "exclude nobody"
		opts, answer = append(opts, durableobject.WithExcludeFunc(withID(nil))), `"ok"`
	default:
		err = fmt.Errorf("no method %q", method)
	}
	if err != nil {
		return "", err
	}
	return answer, room.PublishEvent(r.Context(), event{Message: payload.Message}, opts...)
}

// arguments decodes arguments, of which the last may be absent.
func arguments(args []json.RawMessage, into ...any) error {
	for i := range min(len(args), len(into)) {
		if err := json.Unmarshal(args[i], into[i]); err != nil {
			return err
		}
	}
	return nil
}
