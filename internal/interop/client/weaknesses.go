package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// weaknesses are the faults of oRPC's server that a check finds, by the names that the
// tests of this library use.
var weaknesses = map[string]string{
	"W1":  "it replays events in the order of their ids as strings",
	"W2":  "it returns no position to a client that has seen no event",
	"W4":  "it accepts an empty id, after which it cannot publish to the room",
	"W6":  "it takes any id at face value",
	"W15": "it accepts an id of any length, after which it cannot publish to the room",
	"W20": "it notices the expiry of a token only when something is sent",
	"W26": "it runs procedures for any HTTP method",
	"W27": "it treats a body that is not JSON as no input",
	"W39": "it sends the events of a subscription that was aborted",
}

// weaknessChecks returns the checks of faults that only the server can mend.
func weaknessChecks() []check {
	return []check{
		{name: "protocol: an empty id is refused", weakness: "W4", run: func(t *T) {
			status, err := t.knock(t.httpClient(), url.Values{"id": {""}, "token": {t.room().token(subscribeInput{})}}, false)
			t.ok(err)
			t.equal(status, http.StatusUnauthorized)
		}},
		{name: "protocol: a long id is refused", weakness: "W15", run: func(t *T) {
			id := strings.Repeat("x", 2000)
			status, err := t.knock(t.httpClient(), url.Values{"id": {id}, "token": {t.room().token(subscribeInput{})}}, false)
			t.ok(err)
			t.equal(status, http.StatusBadRequest)
		}},
		{name: "http: methods that run nothing", weakness: "W26", run: func(t *T) {
			for _, method := range []string{http.MethodHead, http.MethodOptions} {
				t.equal(t.request(method, "/lastEventId", "application/json", "{}"), http.StatusMethodNotAllowed)
			}
		}},
		{name: "http: a body that is not JSON is refused", weakness: "W27", run: func(t *T) {
			t.equal(t.request(http.MethodPost, "/echo", "text/plain", "hello"), http.StatusUnsupportedMediaType)
		}},
	}
}

// request sends a request to a procedure and returns the status of the answer.
func (t *T) request(method, path, contentType, body string) int {
	r, err := http.NewRequestWithContext(t, method, t.rpc+path, strings.NewReader(body))
	t.ok(err)
	r.Header.Set("Content-Type", contentType)
	response, err := t.httpClient().Do(r)
	t.ok(err)
	_, err = io.Copy(io.Discard, response.Body)
	t.ok(err)
	t.ok(response.Body.Close())
	return response.StatusCode
}
