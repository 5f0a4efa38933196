//go:build linux

package main

import (
	"bytes"
	"fmt"
	"regexp"
)

// dialect is the protocol that a client uses with a server.
type dialect interface {
	// target returns the request target of socket number i.
	target(i int) string
	// subscribe returns the message that asks for events, after a position unless that is empty.
	subscribe(after string) string
	// subscribed reports whether a message confirms the subscription.
	subscribed(message []byte) (bool, error)
	// position returns the position after the last event in messages.
	position(messages []byte) (string, error)
}

// durableIterator is the dialect of this library.
type durableIterator struct{ token string }

func (d durableIterator) target(i int) string {
	return fmt.Sprintf("/durable?id=c%d&token=%s", i, d.token)
}

func (durableIterator) subscribe(after string) string {
	if after == "" {
		return `{"i":1,"p":{"u":"/subscribe"}}`
	}
	return fmt.Sprintf(`{"i":1,"p":{"u":"/subscribe","h":{"last-event-id":%q}}}`, after)
}

func (durableIterator) subscribed(message []byte) (bool, error) {
	if !bytes.Contains(message, []byte("text/event-stream")) {
		return false, fmt.Errorf("not subscribed: %s", message)
	}
	return true, nil
}

var eventID = regexp.MustCompile(`"id":"([^"]+)"`)

func (durableIterator) position(messages []byte) (string, error) {
	ids := eventID.FindAllSubmatch(messages, -1)
	if ids == nil {
		return "", fmt.Errorf("no event id: %s", messages)
	}
	return string(ids[len(ids)-1][1]), nil
}

// centrifugeJSON is centrifuge's own protocol, in JSON. Several messages may share a frame.
type centrifugeJSON struct{}

func (centrifugeJSON) target(int) string { return "/connection/websocket" }

func (centrifugeJSON) subscribe(after string) string {
	return fmt.Sprintf("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":%q%s}}", centrifugeChannel, after)
}

func (centrifugeJSON) subscribed(message []byte) (bool, error) {
	if bytes.Contains(message, []byte(`"error":{`)) {
		return false, fmt.Errorf("not subscribed: %s", message)
	}
	return bytes.Contains(message, []byte(`"subscribe":{`)), nil
}

var (
	epoch  = regexp.MustCompile(`"epoch":"([^"]+)"`)
	offset = regexp.MustCompile(`"offset":(\d+)`)
)

func (centrifugeJSON) position(messages []byte) (string, error) {
	e, o := epoch.FindSubmatch(messages), offset.FindAllSubmatch(messages, -1)
	if e == nil || o == nil {
		return "", fmt.Errorf("no position: %s", messages)
	}
	return fmt.Sprintf(`,"recover":true,"epoch":%q,"offset":%s`, e[1], o[len(o)-1][1]), nil
}
