package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

// house has the methods of a namespace that the page needs. They do not depend on the type
// of objects.
type house interface {
	Stats() durableobject.Stats
	Channels() []durableobject.ChannelStats
	Websockets(channel string, tags ...string) iter.Seq[*durableobject.Websocket]
	Disconnect(ctx context.Context, w durableobject.Who, code int, reason string) (int, error)
	Revoke(ctx context.Context, w durableobject.Who, until time.Time) error
}

const (
	// maxForm is the size of the largest form in bytes. It suffices for a client whose
	// token is as large as allowed, so that a long name does not prevent disconnecting a
	// client.
	maxForm = 3*durableobject.DefaultMaxTokenBytes + 8<<10
	// statusRemoved is the close code for disconnected clients. The clients of the library
	// do not reconnect after it.
	statusRemoved = 4403
)

//go:embed web
var files embed.FS

// panel serves the page. It is mounted at /admin/. The first four fields must be set:
//
//   - present returns the members of a channel, on all nodes.
//   - subject is Options.Subject of the namespace.
//   - tokenLife is the longest time for which a token is valid.
type panel struct {
	house     house
	present   func(ctx context.Context, channel string) (durableobject.Presence, error)
	subject   func(*token.Payload) string
	tokenLife time.Duration

	sessions sessions
	pages    *template.Template
	since    time.Time
}

// newPanel returns the handler of the page. It accepts changes only in POST requests from
// its own pages, of a browser that has signed in with the admin's token.
func newPanel(p panel, admin string) (http.Handler, error) {
	keys, err := newSessions(admin)
	if err != nil {
		return nil, err
	}
	pages, err := template.New("").Funcs(helpers).ParseFS(files, "web/*.html")
	if err != nil {
		return nil, err
	}
	p.sessions, p.pages, p.since = keys, pages, time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/{$}", p.show)
	mux.HandleFunc("GET /admin/style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.ServeFileFS(w, r, files, "web/style.css")
	})
	mux.HandleFunc("POST /admin/login", p.login)
	mux.HandleFunc("POST /admin/logout", p.admins(p.logout))
	mux.HandleFunc("POST /admin/kick", p.admins(p.kick))
	mux.HandleFunc("POST /admin/revoke", p.admins(p.revoke))
	return http.NewCrossOriginProtection().Handler(withPolicy(mux)), nil
}

// withPolicy sets a policy with which the page can only load its own style sheet and send
// its own forms.
func withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		h.ServeHTTP(w, r)
	})
}

// admins calls h only for requests of an operator who has signed in.
func (p *panel) admins(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.sessions.valid(r, time.Now()) {
			p.render(w, http.StatusUnauthorized, "login", "")
			return
		}
		h(w, r)
	}
}

func (p *panel) show(w http.ResponseWriter, r *http.Request) {
	p.admins(func(w http.ResponseWriter, r *http.Request) {
		p.render(w, http.StatusOK, "panel", p.view(r.Context(), r.URL.Query()))
	})(w, r)
}

func (p *panel) login(w http.ResponseWriter, r *http.Request) {
	if !p.sessions.check(r.PostFormValue("token")) {
		p.render(w, http.StatusUnauthorized, "login", "That is not the token.")
		return
	}
	http.SetCookie(w, p.sessions.begin(r, time.Now()))
	http.Redirect(w, r, "/admin/", http.StatusSeeOther)
}

func (p *panel) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, p.sessions.end(r))
	http.Redirect(w, r, "/admin/", http.StatusSeeOther)
}

// kick closes the sockets of one client. Its token stays valid.
func (p *panel) kick(w http.ResponseWriter, r *http.Request) {
	who := durableobject.Who{
		Channel: r.PostFormValue("channel"), Subject: r.PostFormValue("subject"), ID: r.PostFormValue("id"),
	}
	if who.Channel == "" || who.ID == "" || who.Subject == "" { // otherwise it would be all clients with the id
		http.Error(w, "Which client?", http.StatusBadRequest)
		return
	}
	n, err := p.house.Disconnect(r.Context(), who, statusRemoved, "Removed by an operator")
	p.done(w, r, fmt.Sprintf("%s was sent away (%d closed)", name(who.Subject, who.ID), n), err)
}

// revoke revokes the tokens of a user for a channel, and closes the user's sockets.
func (p *panel) revoke(w http.ResponseWriter, r *http.Request) {
	who := durableobject.Who{Channel: r.PostFormValue("channel"), Subject: r.PostFormValue("subject")}
	if who.Channel == "" || who.Subject == "" { // otherwise it would be everybody
		http.Error(w, "Which user?", http.StatusBadRequest)
		return
	}
	now := time.Now()
	who.IssuedBefore = now
	// This is before Revoke, which closes sockets with a code after which clients fetch a
	// new token.
	n, err := p.house.Disconnect(r.Context(), who, statusRemoved, "Revoked by an operator")
	// This is done even if a node did not answer: the revocation is stored for it.
	err = errors.Join(err, p.house.Revoke(r.Context(), who, now.Add(p.tokenLife)))
	p.done(w, r, fmt.Sprintf("%s's tokens are revoked (%d closed)", who.Subject, n), err)
}

// done redirects to the channel, with a note about the change.
func (p *panel) done(w http.ResponseWriter, r *http.Request, note string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	query := url.Values{"channel": {r.PostFormValue("channel")}, "note": {note}}
	http.Redirect(w, r, "/admin/?"+query.Encode(), http.StatusSeeOther)
}

func (p *panel) render(w http.ResponseWriter, status int, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = p.pages.ExecuteTemplate(w, page+".html", data) // returns an error if the client has disconnected
}

func name(subject, id string) string {
	if subject == "" {
		return strconv.Quote(id)
	}
	return subject
}
