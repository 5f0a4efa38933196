package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// eventIDs maps the event ids of a recording, which are numbers per room, to ours.
type eventIDs struct {
	ours     map[recordedID]string
	recorded map[string]recordedID
	seen     map[recordedID]string // ours by client and recorded id: as the client received them
}

type recordedID struct{ owner, id string } // owner: a room, or a client

func newEventIDs() *eventIDs {
	return &eventIDs{ours: map[recordedID]string{}, recorded: map[string]recordedID{}, seen: map[recordedID]string{}}
}

var ourID = regexp.MustCompile(`^[^-]+-([0-9]+)$`)

// agree returns an error if the ids cannot belong to the same event, by all that is known.
func (ids *eventIDs) agree(room, recorded, ours string) error {
	key := recordedID{room, recorded}
	if known, ok := ids.ours[key]; ok {
		if known != ours {
			return fmt.Errorf("the event with id %s had id %s before, now %s", recorded, known, ours)
		}
		return nil
	}
	if other, ok := ids.recorded[ours]; ok {
		return fmt.Errorf("id %s is that of another event, %s of %s", ours, other.id, other.owner)
	}
	for key, other := range ids.ours {
		if key.owner == room && (number(key.id) < number(recorded)) != (seq(other) < seq(ours)) {
			return fmt.Errorf("ids %s and %s are not in the order of %s and %s", other, ours, key.id, recorded)
		}
	}
	if seq(ours) == 0 {
		return fmt.Errorf("%q is not an event id", ours)
	}
	return nil
}

// learn records ids that agree has accepted.
func (ids *eventIDs) learn(s *socket, recorded, ours string) {
	ids.ours[recordedID{s.channel, recorded}] = ours
	ids.recorded[ours] = recordedID{s.channel, recorded}
	ids.seen[recordedID{s.id, recorded}] = ours
}

// lastEventID returns the id to send in place of a recorded one: ours of the same event in
// the room, or the one that the client has received for it in another room, or the id
// itself.
func (ids *eventIDs) lastEventID(s *socket, recorded string) string {
	if ours, ok := ids.ours[recordedID{s.channel, recorded}]; ok {
		return ours
	}
	if ours, ok := ids.seen[recordedID{s.id, recorded}]; ok {
		return ours
	}
	return recorded
}

func number(id string) int {
	n, _ := strconv.Atoi(id)
	return n
}

func seq(id string) int {
	if m := ourID.FindStringSubmatch(id); m != nil {
		return number(m[1])
	}
	return 0
}

// equal compares a frame with the recorded one. The order of members is ignored, ids of
// events are compared by their events, and issues are not compared.
func (ids *eventIDs) equal(s *socket, recorded, got frame) error {
	if recorded.kind != got.kind || recorded.code != got.code || recorded.reason != got.reason {
		return fmt.Errorf("want %s, got %s", recorded, got)
	}
	want, have := decode(maskBoundary(recorded.data)), decode(maskBoundary(got.data))
	maskIssues(want, "p", "b", "json", "data")
	maskIssues(have, "p", "b", "json", "data")
	if id, ours, ok := s.eventIDs(want, have); ok {
		if err := ids.agree(s.channel, id, ours); err != nil {
			return err
		}
		at(have, "p", "m")["id"] = id
	}
	if !reflect.DeepEqual(want, have) {
		return fmt.Errorf("want %s\n got %s", recorded, got)
	}
	return nil
}

// eventIDs returns the ids of an event of the socket's subscription.
func (s *socket) eventIDs(recorded, got any) (id, ours string, ok bool) {
	message, _ := recorded.(map[string]any)
	request, err := json.Marshal(message["i"])
	if err != nil || !s.resume || !s.subscriptions[string(request)] {
		return "", "", false
	}
	id, ok = at(recorded, "p", "m")["id"].(string)
	if !ok {
		return "", "", false
	}
	ours, ok = at(got, "p", "m")["id"].(string)
	return id, ours, ok
}

// decode returns the value of JSON, or data as a string if it is not JSON.
func decode(data []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return string(data)
	}
	return v
}

// at returns the object at a path of members, or nil if there is none.
func at(v any, path ...string) map[string]any {
	object, _ := v.(map[string]any)
	for _, name := range path {
		object, _ = object[name].(map[string]any)
	}
	return object
}

// maskBoundary makes the boundaries of all forms equal, and their ends: not every
// writer puts a line break there.
func maskBoundary(message []byte) []byte {
	_, form, ok := bytes.Cut(message, []byte("\xff--"))
	if !ok {
		return message
	}
	boundary, _, _ := bytes.Cut(form, []byte("\r\n"))
	return bytes.TrimSuffix(bytes.ReplaceAll(message, boundary, []byte("boundary")), []byte("\r\n"))
}

// maskIssues makes all lists of issues equal, except empty ones.
func maskIssues(v any, path ...string) {
	data := at(v, path...)
	if issues, ok := data["issues"].([]any); ok && len(issues) > 0 {
		data["issues"] = "some"
	}
}

// equalBody compares the body of an answer over HTTP with the recorded one.
func equalBody(recorded, got string) error {
	want, have := decode([]byte(recorded)), decode([]byte(got))
	maskIssues(want, "json", "data")
	maskIssues(have, "json", "data")
	if !reflect.DeepEqual(want, have) {
		return fmt.Errorf("want body %s\n got body %s", recorded, got)
	}
	return nil
}

var times = regexp.MustCompile(`"iat":[0-9]+,"exp":[0-9]+\}$`)

// claims returns the signed part of a token, without its times.
func claims(tok string) string {
	return times.ReplaceAllString(tok[:strings.LastIndexByte(tok, '.')], `"iat":…,"exp":…}`)
}
