package host

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Publish publishes an event with the measured library, and returns when the library has
// accepted it.
type Publish func(ctx context.Context, event Event) error

// Publisher is an http.Handler for requests to publish count events of size bytes, at rate
// events a second, at most window events ahead of the counts in the request body.
type Publisher struct {
	Publish  Publish
	Parallel int // number of goroutines, unless there is a rate or a window; 0 means 1
}

// Published is the response of a [Publisher].
type Published struct {
	Count  int64 `json:"count"`
	WallNS int64 `json:"wall_ns"`
}

// ServeHTTP publishes the events and then responds.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	num := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	pad, err := padding(int(num("size")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l := &loop{
		publish: p.Publish, pad: pad, began: time.Now(),
		count: num("count"), start: num("start"), rate: num("rate"), window: num("window"),
	}
	l.acks = &acks{body: r.Body, seen: l.start}
	if err := l.run(r.Context(), p.Parallel); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(Published{Count: l.count, WallNS: int64(time.Since(l.began))})
}
