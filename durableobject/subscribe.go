package durableobject

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// The headers of a subscription that go beyond oRPC: see the package
// documentation.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// subscription is a subscription of a socket, whose mu guards it.
type subscription struct {
	fanout.Subscription
	ws          *Websocket
	lastEventID string
	finish      func()             // frees the id
	ctx         context.Context    // of its call; nil once the hook has begun
	cancel      context.CancelFunc // ends the context of its hook; nil before that has begun
	hookBy      time.Time          // when its hook is late; zero before all that was missed is read
}

// subscribe answers the request for a subscription. After the answer the client is sent
// the events that it has missed, then what OnSubscribed sends, then live events.
func (ws *Websocket) subscribe(ctx context.Context, call *rpc.Call) (any, error) {
	if err := checkSubscribe(call); err != nil {
		return nil, err
	}
	s := &subscription{ws: ws, lastEventID: call.LastEventID}
	s.CursorEvents = call.Header.Get(headerExtension) == "1"
	head, err := ws.reader.Prepare(ctx, &s.Subscription, call.LastEventID)
	if err != nil {
		return nil, unavailable(err)
	}
	if s.CursorEvents {
		call.ResponseHeader.Set(headerResume, s.outcome())
		if ws.core().log != nil {
			call.ResponseHeader.Set(headerPosition, head.String())
		}
	}
	return transport.Hibernation{
		Start: func(ctx context.Context, id json.RawMessage, finish func()) {
			s.ID, s.finish, s.ctx = peer.ID(id), finish, ctx
			ws.begin(s)
		},
		Ended: s.end,
	}, nil
}

// checkSubscribe refuses what no client sends to subscribe: anything but a POST of JSON.
func checkSubscribe(call *rpc.Call) error {
	if call.Method != http.MethodPost {
		return &rpc.Error{Code: rpc.CodeMethodNotSupported}
	}
	media, _, _ := strings.Cut(call.Header.Get("Content-Type"), ";")
	if media = strings.TrimSpace(media); media != "" && !strings.EqualFold(media, "application/json") || call.Header.Get("Content-Disposition") != "" {
		return &rpc.Error{Code: rpc.CodeUnsupportedMediaType}
	}
	return nil
}

// outcome returns how the resume went, as the response says it.
func (s *subscription) outcome() string {
	switch {
	case s.ws.core().log == nil:
		return "off"
	case s.lastEventID == "":
		return "none"
	case s.Truncated:
		return "truncated"
	default:
		return "complete"
	}
}

// begin makes s the socket's subscription, in place of an earlier one.
func (ws *Websocket) begin(s *subscription) {
	ws.mu.Lock()
	old := ws.sub
	ws.sub = s
	if old != nil {
		old.cancelHook()
	}
	replayed := ws.reader.Subscribe(&s.Subscription)
	if old != nil {
		done := peer.AppendEventRest(nil, peer.EventDone, []byte("{}"), nil)
		// There is one for each subscription, whose answer has waited for room.
		ws.outbox.Force(fanout.AppendFrame(nil, old.ID, done))
	}
	if replayed {
		ws.startHook(s)
	}
	ws.mu.Unlock()
	if old != nil {
		old.finish()
	}
}

// end is called when the client has aborted the subscription, or the socket is gone.
func (s *subscription) end() {
	ws := s.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	if ws.sub == s {
		ws.sub = nil
		ws.stopLate()
		ws.reader.Unsubscribe(&s.Subscription)
	}
}
