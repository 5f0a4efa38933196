package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coder/websocket"
)

// errGone is the error of calls when the browser has ended.
var errGone = errors.New("the browser is gone")

// object has the parameters of a method.
type object = map[string]any

// answer is the browser's answer to a call.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// call calls a method of a session of the DevTools protocol, or of the browser itself.
func (b *Browser) call(ctx context.Context, session, method string, params any) (json.RawMessage, error) {
	answers := make(chan answer, 1)
	b.mu.Lock()
	if b.answers == nil {
		b.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", method, errGone)
	}
	b.last++
	id := b.last
	b.answers[id] = answers
	b.mu.Unlock()
	message := object{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err == nil {
		err = b.conn.Write(context.WithoutCancel(ctx), websocket.MessageText, text) // a context that ends would close the connection
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a, ok := <-answers:
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: %w", method, errGone)
		case a.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		return a.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// listen registers f, which is called with the parameters of each event of the session with
// the given name.
func (b *Browser) listen(session, event string, f func(params []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := session + " " + event
	b.listeners[key] = append(b.listeners[key], f)
}

// read handles answers and events until the connection is lost.
func (b *Browser) read(ctx context.Context) {
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			break
		}
		var message struct {
			answer

			ID        int             `json:"id"`
			Method    string          `json:"method"`
			SessionID string          `json:"sessionId"`
			Params    json.RawMessage `json:"params"`
		}
		if json.Unmarshal(text, &message) != nil {
			continue
		}
		b.mu.Lock()
		waiting := b.answers[message.ID]
		delete(b.answers, message.ID)
		listeners := b.listeners[message.SessionID+" "+message.Method]
		b.mu.Unlock()
		if waiting != nil {
			waiting <- message.answer
		}
		for _, f := range listeners {
			f(message.Params)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, waiting := range b.answers {
		close(waiting)
	}
	b.answers = nil
}
