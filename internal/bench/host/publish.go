package host

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Publish publishes an event with the library under load, and returns when the library has accepted it.
type Publish func(ctx context.Context, event Event) error

// Publisher answers a request to publish count events of size bytes, at a rate a
// second, staying at most window ahead of the counts in the request body.
type Publisher struct {
	Publish  Publish
	Parallel int // goroutines, unless at a rate or in a window; 0 is one
}

// Published is its answer.
type Published struct {
	Count  int64 `json:"count"`
	WallNS int64 `json:"wall_ns"`
}

// ServeHTTP publishes and then answers.
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
