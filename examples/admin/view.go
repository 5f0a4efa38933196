package main

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// maxRows bounds the rows of a table.
const maxRows = 100

// view is the content of the page.
type view struct {
	Now      time.Time
	Up       time.Duration // since the program has started
	Stats    durableobject.Stats
	Calls    []count // by result
	Closes   []count // by code
	Channels []durableobject.ChannelStats
	Hidden   int // channels that are not in the table

	Channel string // the selected one; empty means none
	Members []member
	Unseen  int      // members that are not in the table
	Silent  []string // the nodes whose members may be missing
	MaxLag  int64
	Note    string
	Reload  string // the address that the page reloads
}

// count is a row of a small table.
type count struct {
	Name    string
	Meaning string
	N       uint64
	Good    bool
}

// member is a socket, or a client without one at this node.
type member struct {
	durableobject.WebsocketStats

	Subject, ID string
	Tags        []string
}

// view returns the state of the namespace. Each time the page is loaded, it visits every
// socket.
func (p *panel) view(ctx context.Context, query url.Values) view {
	v := view{
		Now: time.Now(), Up: time.Since(p.since), Stats: p.house.Stats(), Channels: p.house.Channels(),
		Channel: query.Get("channel"), Note: query.Get("note"), Reload: "/admin/",
	}
	slices.SortStableFunc(v.Channels, func(a, b durableobject.ChannelStats) int { return cmp.Compare(b.Websockets, a.Websockets) })
	if v.Channel == "" && len(v.Channels) > 0 {
		v.Channel = v.Channels[0].Name
	}
	v.Channels, v.Hidden = cut(v.Channels)
	for _, result := range slices.Sorted(maps.Keys(v.Stats.Calls)) {
		v.Calls = append(v.Calls, count{Name: result, N: v.Stats.Calls[result], Good: result == durableobject.ResultOK})
	}
	for _, code := range slices.Sorted(maps.Keys(v.Stats.Closes)) {
		good := code == 1000 || code == 1001 || code == 1005
		v.Closes = append(v.Closes, count{strconv.Itoa(code), meanings[code], v.Stats.Closes[code], good})
	}
	if v.Channel != "" {
		v.Reload += "?" + url.Values{"channel": {v.Channel}}.Encode()
		v.look(ctx, p)
	}
	return v
}

// look adds the members of the channel, the slowest first.
func (v *view) look(ctx context.Context, p *panel) {
	here := map[durableobject.Recipient]bool{}
	for ws := range p.house.Websockets(v.Channel) {
		m := member{ws.Stats(), p.subject(ws.Token()), ws.ID(), ws.Token().Tags}
		v.MaxLag = max(v.MaxLag, m.LagBytes)
		v.Members = append(v.Members, m)
		here[durableobject.Recipient{Subject: m.Subject, ID: m.ID}] = true
	}
	if len(here) > 0 { // otherwise the object would be kept in memory only for the page
		v.lookElsewhere(ctx, p, here)
	}
	slices.SortFunc(v.Members, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.LagBytes, a.LagBytes), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.ID, b.ID))
	})
	v.Members, v.Unseen = cut(v.Members)
}

// lookElsewhere adds the members that have no socket at this node.
func (v *view) lookElsewhere(ctx context.Context, p *panel, here map[durableobject.Recipient]bool) {
	present, err := p.present(ctx, v.Channel)
	if err != nil {
		v.Note = "Who is at other nodes is not known: " + err.Error()
		return
	}
	v.Silent = present.Silent
	for _, m := range present.Members {
		if here[m.Recipient] {
			continue
		}
		state := "elsewhere"
		if m.Sockets == 0 {
			state = "away" // for a few seconds
		}
		s := durableobject.WebsocketStats{State: durableobject.WebsocketState(state), Since: m.Since}
		v.Members = append(v.Members, member{s, m.Subject, m.ID, m.Tags})
	}
}

func cut[E any](list []E) (shown []E, hidden int) {
	n := min(len(list), maxRows)
	return list[:n], len(list) - n
}

// meanings has the meanings of the most frequent close codes.
var meanings = map[int]string{
	1000: "closed by the client", 1001: "page left", 1005: "no code", 1006: "connection lost",
	1008: "token expired or revoked", 1009: "message too big", 1011: "server error", 1012: "server restart",
	1013: "too slow, or log out of reach", 3000: "client's own code", statusRemoved: "removed by an operator",
}

// helpers are the functions of the templates.
var helpers = template.FuncMap{
	"number": number, "bytes": bytes, "ago": ago,
	"percent": func(part, all int64) int64 { return 100 * part / max(all, 1) },
	"since":   func(now, t time.Time) string { return ago(now.Sub(t)) },
}

// number formats a number with a thin space between thousands.
func number(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}

// bytes formats a size.
func bytes(n any) string {
	var size float64
	_, _ = fmt.Sscan(fmt.Sprint(n), &size)
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for size >= 1000 && len(units) > 1 {
		size, units = size/1000, units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0") + "\u00a0" + units[0]
}

// ago formats a duration in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh %02dm", d/time.Hour, d/time.Minute%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %02ds", d/time.Minute, d/time.Second%60)
	}
	return fmt.Sprintf("%ds", max(d, 0)/time.Second)
}
