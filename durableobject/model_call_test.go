package durableobject_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// call is a request other than a subscription.
type call struct {
	kind  string
	want  string // in the answer
	post  *post
	round int
}

// act calls the method that publishes n.
func (v *visit) act(n *post) {
	w := v.place.world
	w.mu.Lock()
	order := len(w.orders)
	w.orders[order] = n
	w.mu.Unlock()
	c := &call{kind: "act", want: `"acted"`, post: n, round: w.round}
	id := v.request("call", fmt.Sprintf(`{"json":{"path":["act"],"input":%d}}`, order), "")
	v.calls[id] = c
	w.notef("v%d calls act as %s: %v", v.n, id, n)
}

// updateToken tries to replace the token with a valid or an invalid one.
func (v *visit) updateToken(r *rand.Rand) {
	w, p, life := v.place.world, v.place, pick(r, 5*time.Second, time.Minute, time.Hour)
	_, subject := readAtt(v.ws.Token())
	exp := time.Now().Truncate(time.Second).Add(life)
	c := &call{kind: "a token that is none", want: `"UNAUTHORIZED"`}
	tok := "garbage"
	switch kind := r.IntN(6); {
	case kind < 3 && v.updated < w.round: // of two at once, nobody knows which counts
		c.kind, c.want = "a new token", `"b":{}`
		tok = p.token(v.n, p.channel, subject, v.tags, exp)
		if v.updated = w.round; !time.Now().After(v.exp) {
			v.exp = exp
		}
	case kind == 3:
		c.kind = "a token with other tags"
		tok = p.token(v.n, p.channel, subject, append(slices.Clip(v.tags), "w"), exp)
	case kind == 4:
		c.kind = "a token for another channel"
		tok = p.token(v.n, "elsewhere", subject, v.tags, exp)
	case p.subject:
		c.kind = "a token of another subject"
		tok = p.token(v.n, p.channel, "somebody else", v.tags, exp)
	}
	id := v.request("updateToken", `{"json":{"token":`+quote(tok)+`}}`, "")
	v.calls[id] = c
	p.notef("v%d updates its token as %s for %v by %s, wants %s", v.n, id, life, c.kind, c.want)
}

// answered processes the answer of a call.
func (v *visit) answered(c *call, text []byte) {
	w := v.place.world
	w.sawf("an answer: %s", c.kind)
	if !strings.Contains(string(text), c.want) {
		w.failf("v%d wants %s from %s, got %s", v.n, c.want, c.kind, text)
	}
	if c.post == nil || c.post.refused != nil || !c.post.includes(v) {
		return
	}
	r := v.active()
	if r == nil || r != v.readings[len(v.readings)-1] { // a later one may have ended it already
		return
	}
	if !r.answered || r.round >= c.round {
		return
	}
	w.sawf("an answer behind its own event")
	if !slices.Contains(r.got, item{post: c.post}) {
		w.failf("v%d got the answer of a call before the event that it published: %v", v.n, c.post)
	}
}
