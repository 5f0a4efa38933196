package durableobject_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// visit is one connection of a guest.
type visit struct {
	place   *place
	front   *front
	guest   *guest
	n       int
	to      eventlog.Recipient
	id      string
	tags    []string
	exp     time.Time
	updated int // round in which the token was, last
	ws      *durableobject.Websocket
	wire    *wire
	buf     []byte

	stalled  bool // reads nothing for now
	stalls   bool // did so once, so that the server may have been behind
	lags     bool // has been slow: it may be closed for it
	left     bool // the guest has dropped or closed it
	gone     bool // for either reason, it is of no use any more
	ended    bool // so has the connection, when what was taken from it is read
	closed   bool // there is nothing more to read
	over     bool // and looked at for the last time
	code     int
	kicked   bool
	lost     bool // its node has lost its feeds
	fails    bool // a hook has failed
	behind   bool // it reads from the log what it was too slow for
	round    int  // in which it was last connected or left
	requests int
	readings []*reading
	runs     []*hookRun
	calls    map[string]*call
}

func (p *place) token(n int, channel, subject string, tags []string, exp time.Time) string {
	tok, err := secret.Sign(context.Background(), &token.Payload{
		Channel: channel, RPC: []string{"act"}, Tags: tags, Att: json.RawMessage(newAtt(n, subject)),
		IssuedAt: time.Now().Truncate(time.Second), ExpiresAt: exp,
	})
	if err != nil {
		p.failf("sign: %v", err)
	}
	return tok
}

// enter connects a guest.
func (w *world) enter(g *guest, p *place, id string, tags []string, subject string, life time.Duration) *visit {
	n := len(w.all)
	v := &visit{
		place: p, front: p.frontFor(n), guest: g, n: n, id: id, to: w.recipient(id, subject), tags: tags, round: w.round,
		updated: -1, exp: time.Now().Truncate(time.Second).Add(life), wire: newWire(w.space, w.seed+uint64(n)), calls: map[string]*call{},
	}
	w.notef("v%d enters %v at node %d as %v, tags %v, for %v", n, p, v.front.n, v.to, tags, life)
	w.sawf("an entrance")
	query := url.Values{"id": {id}, "token": {p.token(n, p.channel, subject, tags, v.exp)}}
	r := &http.Request{
		Method: http.MethodGet, Host: "halls", URL: &url.URL{Path: "/", RawQuery: query.Encode()}, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		},
	}
	var conn net.Conn = v.wire
	if !w.blocking {
		conn = tryWire{v.wire}
	}
	answer := &handshake{conn: conn, header: http.Header{}}
	w.mu.Lock()
	w.visits, w.all = append(w.visits, v), append(w.all, v)
	w.mu.Unlock()
	v.front.up.ServeHTTP(answer, r)
	if !v.wire.opened {
		w.failf("v%d was refused: %d %s", n, answer.status, answer.body)
	}
	for ws := range p.hall(v.front).Websockets() {
		if number, _ := readAtt(ws.Token()); number == n {
			v.ws = ws
		}
	}
	if v.ws == nil {
		w.failf("v%d is not among the sockets", n)
	}
	v.sure(1)
	g.visit = v
	return v
}

// sure changes the number of visits that certainly keep an object in memory.
func (v *visit) sure(n int) {
	v.place.mu.Lock()
	defer v.place.mu.Unlock()
	v.place.open[v.front] += n
}

// leave closes the connection of a guest without a close frame.
func (w *world) leave(g *guest) {
	v := g.visit
	if v == nil {
		return
	}
	w.notef("v%d drops", v.n)
	w.sawf("a drop")
	v.left = true
	v.depart()
	v.wire.cut()
	v.closed = true
}

// depart ends the visit of its guest.
func (v *visit) depart() {
	if v.guest.visit != v {
		return
	}
	v.guest.visit, v.gone, v.round = nil, true, v.place.round
	if !v.stalled {
		v.sure(-1)
	}
	for _, r := range v.readings {
		r.remember()
	}
}

// bye closes the connection with a close frame.
func (v *visit) bye() {
	v.place.notef("v%d says goodbye", v.n)
	v.place.sawf("a goodbye")
	v.left = true
	v.depart()
	v.wire.send(opClose, []byte{3, 232})
}

func (v *visit) stall(yes bool) {
	v.place.notef("v%d stalls: %v", v.n, yes)
	v.place.sawf("%s", either(yes, "a stall", "the end of a stall"))
	if v.stalled != yes {
		v.sure(either(yes, -1, 1))
	}
	v.stalled, v.stalls = yes, v.stalls || yes
	v.lags = true
}

// request sends a request and returns its id.
func (v *visit) request(path, input, headers string) string {
	v.requests++
	id := fmt.Sprintf(`"%d"`, v.requests)
	if v.requests%5 == 4 {
		id = fmt.Sprint(v.requests)
	}
	v.wire.send(opText, fmt.Appendf(nil, `{"i":%s,"p":{"u":"/%s","b":%s%s}}`, id, path, input, headers))
	return id
}

func (v *visit) subscribe(last string, ext bool) {
	var headers []string
	if last != "" {
		headers = append(headers, `"last-event-id":"`+last+`"`)
	}
	if ext {
		headers = append(headers, extension)
	}
	h := ""
	if len(headers) > 0 {
		h = `,"h":{` + strings.Join(headers, ",") + `}`
	}
	r := newReading(v, last, ext)
	v.readings = append(v.readings, r)
	v.roamed(last)
	r.id = v.request("subscribe", "{}", h)
	v.place.notef("v%d subscribes as %s after %q, extension %v", v.n, r.id, last, ext)
}

// abort ends a subscription.
func (v *visit) abort(r *reading) {
	v.place.notef("v%d aborts %s", v.n, r.id)
	v.place.sawf("an abort")
	v.wire.send(opText, fmt.Appendf(nil, `{"i":%s,"t":4}`, r.id))
	r.remember()
	r.end(v.place.round)
}

// pump processes the data that it has taken, then takes what has arrived, and reports whether
// there may be more to do. When data is processed everything has settled, and what has caused it
// is known.
func (v *visit) pump() bool {
	if v.stalled || v.closed {
		return false
	}
	replied := false
	for {
		op, payload, rest, ok := splitFrame(v.buf)
		if !ok {
			break
		}
		v.buf = rest
		replied = replied || op != opText
		switch op {
		case opPing:
			v.wire.send(opPong, payload)
		case opClose:
			v.code = int(payload[0])<<8 | int(payload[1])
			v.place.notef("v%d is closed with %d %s", v.n, v.code, payload[2:])
			v.place.sawf("closed with %d", v.code)
			v.depart()
			v.wire.send(opClose, payload)
		case opText:
			v.receive(payload)
		default:
			v.place.failf("v%d got a frame of kind %d", v.n, op)
		}
	}
	if v.ended {
		v.place.notef("the connection of v%d has ended", v.n)
		v.depart()
		v.closed = true
		return false
	}
	before := len(v.buf)
	v.buf, v.ended = v.wire.take(v.buf, 1<<20)
	return replied || v.ended || len(v.buf) > before
}

// swallow discards all data, so that a shutdown can complete.
func (v *visit) swallow() {
	v.buf, _ = v.wire.take(v.buf, 1<<20)
	for {
		op, payload, rest, ok := splitFrame(v.buf)
		if !ok {
			return
		}
		if v.buf = rest; op == opClose {
			v.wire.send(opClose, payload)
		}
	}
}

// active returns the subscription that receives events, or nil if that is not certain.
func (v *visit) active() *reading {
	if list := v.open(); len(list) == 1 {
		return list[0]
	}
	return nil
}

// assign assigns a call of OnSubscribed to its subscription.
func (v *visit) assign(run *hookRun) {
	v.runs = append(v.runs, run)
	if run.resume.Replayed > 0 {
		v.place.sawf("a replay")
	}
	v.fails = v.fails || strings.Contains(run.mood, "fail") || strings.Contains(run.mood, "panic")
	var candidates []*reading
	for _, r := range v.readings {
		over := r.ended && r.endRound < v.place.world.round-1 && !v.stalls // before the hook was called
		if r.hook == nil && !r.unclear && !over && r.last == run.resume.LastEventID {
			candidates = append(candidates, r)
		}
	}
	if len(candidates) == 1 {
		candidates[0].hook, run.reading = run, candidates[0]
		return
	}
	for _, r := range candidates {
		r.unclear = true
	}
}

// check compares the visit with what is expected after everything has settled.
func (v *visit) check() {
	w := v.place.world
	now := time.Now()
	v.lags = v.lags || v.lagging() || v.hooking() || v.hookBusy()
	switch {
	case v.code == 0 || v.left && v.code == 1000:
	case v.code == 1008 && now.After(v.exp), v.code == 1011 && v.fails, v.code == 1013 && v.lags, v.code == 4000 && v.kicked, v.code == 1012 && v.lost:
	default:
		w.failf("v%d was closed with %d for no reason", v.n, v.code)
	}
	if v.closed && v.code == 0 && !v.left && !v.lags {
		w.failf("v%d was cut off", v.n)
	}
	if !v.gone && !v.stalled && now.After(v.exp.Add(time.Millisecond)) {
		w.failf("v%d is open beyond the end of its token", v.n)
	}
	for _, r := range v.readings {
		r.check()
	}
	if durableobject.Behind(v.ws) {
		v.behind = true
	} else if v.behind && !v.gone {
		v.behind = false
		w.sawf("a slow client has caught up from the log")
	}
	if !v.gone && !v.stalled {
		if n := len(v.open()); n > 1 && !v.hooking() && !v.hookBusy() { // else a response may wait
			w.failf("v%d has %d subscriptions", v.n, n)
		}
		for id, c := range v.calls {
			if c.round < w.round && !v.hooking() && !v.hookBusy() {
				w.failf("v%d has no answer to %s %s", v.n, c.kind, id)
			}
		}
	}
	v.over = v.closed
}

// hooking reports whether events and answers may wait for a hook.
func (v *visit) hooking() bool { return slices.ContainsFunc(v.runs, (*hookRun).running) }

// hookBusy reports whether a hook has not returned, so that the next one waits.
func (v *visit) hookBusy() bool { return slices.ContainsFunc(v.runs, (*hookRun).busy) }

// lagging reports whether so much was published since everything settled that the visit may have
// fallen behind: more than it may lag or, if the log drops its oldest records, anything while it
// was reading missed events. Events in other channels count too, in this step or the one before,
// because they may have made the log forget this channel.
func (v *visit) lagging() bool {
	w, p := v.place.world, v.place
	if p.noisy > w.maxLag/4 {
		return true
	}
	if w.plan.log != "bounded" {
		return false
	}
	resumed := slices.ContainsFunc(v.readings, func(r *reading) bool { return (r.last != "" || r.latest > 0) && r.round == w.round-1 })
	noise := func(other *place) bool { return other.noisy > 0 && (resumed || other != p) }
	return slices.ContainsFunc(w.places, noise) || p.noisy > 0 && p.mayMiss(p.settled)
}
