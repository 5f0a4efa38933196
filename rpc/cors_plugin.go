package rpc

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bridge"
)

// CORSPlugin lets pages of other origins call the procedures of a [Handler] and read
// the answers, without middleware: oRPC's CORSPlugin. It answers the preflight
// requests of browsers, OPTIONS with an Origin, with status 204, and adds the headers of
// cross-origin resource sharing to all answers of the handler, errors among them.
// Requests that [HandlerOptions.NotFound] answers are left alone.
//
// An origin that it allows is trusted like one of [HandlerOptions.TrustedOrigins]. Unlike
// oRPC's, the plugin allows no origin that was not named: the zero value allows none.
// A preflight of another origin is answered without leave, and logged at level Warn.
//
// The WebSockets have lists of their own, as durableobject.UpgradeOptions.OriginPatterns.
type CORSPlugin struct {
	// Origins are the allowed origins, as "https://app.example.com". They are compared
	// exactly. "*" allows all, to public procedures: a request of an origin that is not
	// allowed otherwise is refused if it has what browsers add by themselves: cookies, a
	// password, or a certificate of the user.
	Origins []string
	// OriginFunc reports whether an origin that is not among Origins is allowed. It is
	// called more than once for a request, and must be safe for concurrent use. One that
	// panics allows nothing. A sandboxed page has the origin "null". Nil allows none.
	OriginFunc func(origin string) bool
	// Credentials lets pages send the user's cookies along. It cannot be set together
	// with "*".
	Credentials bool
	// MaxAge is how long browsers may remember the answer to a preflight, in full
	// seconds. 0 leaves that to them: 5 s, mostly.
	MaxAge time.Duration
	// AllowHeaders are the request headers that pages may set. Nil allows those that
	// they ask for.
	AllowHeaders []string
	// ExposeHeaders are the response headers that pages may read, besides those that
	// clients of this library and of oRPC need.
	ExposeHeaders []string
}

// InitHandler implements [HandlerPlugin]. It copies the plugin, and panics on an origin
// that is none, on a negative MaxAge, and on "*" with Credentials. Of several
// CORSPlugins, the last one counts.
func (p *CORSPlugin) InitHandler(o *HandlerOptions) {
	c := &cors{
		origins: make(map[string]bool, len(p.Origins)), allowed: p.OriginFunc,
		credentials: p.Credentials,
		headers:     strings.Join(p.AllowHeaders, ", "),
		exposed:     append([]string{headerDisposition, "Retry-After"}, p.ExposeHeaders...),
	}
	for _, origin := range p.Origins {
		if origin == "*" {
			c.any = true
			continue
		}
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			panic(fmt.Sprintf("rpc: CORSPlugin: origins: %v", err))
		}
		c.origins[origin] = true
	}
	if c.any && p.Credentials {
		panic(`rpc: CORSPlugin: "*" cannot be allowed with credentials`)
	}
	if p.MaxAge < 0 {
		panic(fmt.Sprintf("rpc: CORSPlugin: MaxAge %v is negative", p.MaxAge))
	}
	if p.MaxAge > 0 {
		c.maxAge = strconv.FormatInt(int64(p.MaxAge/time.Second), 10)
	}
	o.cors = c
}

// corsMethods are the methods that pages may use: those that run procedures.
const corsMethods = "GET, POST, PUT, PATCH, DELETE"

// cors is a CORSPlugin with its defaults. A nil one allows nothing.
type cors struct {
	origins     map[string]bool
	any         bool // also those that are not in origins
	allowed     func(origin string) bool
	credentials bool
	maxAge      string // empty: none
	headers     string // empty: those that are asked for
	exposed     []string
}

// names reports whether an origin was allowed by its name.
func (c *cors) names(origin string) (yes bool, err error) {
	defer bridge.RecoverTo(&err)
	return c.origins[origin] || c.allowed != nil && c.allowed(origin), nil
}

// trusts reports whether a request of a page of another origin may run a procedure.
func (c *cors) trusts(r *http.Request) (yes bool, err error) {
	origin := r.Header.Get("Origin")
	if c == nil || origin == "" {
		return false, nil
	}
	if yes, err = c.names(origin); yes || err != nil {
		return yes, err
	}
	return c.any && !hasAmbientCredentials(r), nil
}

// hasAmbientCredentials reports whether a request has credentials that browsers add by
// themselves, on behalf of any page.
func hasAmbientCredentials(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return len(r.Header["Cookie"]) > 0 || scheme != "" && !strings.EqualFold(scheme, "Bearer") ||
		r.TLS != nil && len(r.TLS.PeerCertificates) > 0
}

// announce sets the headers of an answer to a page of an origin, and reports whether the
// page may read it.
func (c *cors) announce(header http.Header, origin string) (allowed bool, err error) {
	if !c.any && !listed(header["Vary"], "Origin") {
		header.Add("Vary", "Origin") // of caches between
	}
	if origin == "" {
		return false, nil
	}
	if allowed, err = c.names(origin); !allowed && !c.any {
		return false, err
	}
	if c.any {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if c.credentials {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	for _, name := range c.exposed {
		if !listed(header[headerExpose], name) {
			header.Add(headerExpose, name)
		}
	}
	return true, err
}

// headerExpose names the headers that pages of other origins may read.
const headerExpose = "Access-Control-Expose-Headers"

// permit sets the headers of the answer to a preflight.
func (c *cors) permit(header, asked http.Header) {
	header.Del(headerExpose)
	header.Set("Access-Control-Allow-Methods", corsMethods)
	headers := c.headers
	if headers == "" {
		headers = strings.Join(asked["Access-Control-Request-Headers"], ", ")
	}
	if headers != "" {
		header.Set("Access-Control-Allow-Headers", headers)
	}
	if c.maxAge != "" {
		header.Set("Access-Control-Max-Age", c.maxAge)
	}
}

// serveCORS sets the headers for a page of another origin, and reports whether it has
// answered a preflight by that.
func (h *Handler) serveCORS(w http.ResponseWriter, r *http.Request) (answered bool) {
	c, origin := h.origins.cors, r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && origin != ""
	if !h.isOurs(r, preflight) {
		return false
	}
	allowed, err := c.announce(w.Header(), origin)
	if err != nil {
		h.engine.logError(r.Context(), &Call{Path: []string{"CORSPlugin.OriginFunc"}}, err)
	}
	if !preflight {
		return false
	}
	if allowed {
		c.permit(w.Header(), r.Header)
	} else {
		h.engine.logger.WarnContext(r.Context(), "preflight refused: its origin is not in CORSPlugin.Origins",
			"path", loggable(r.URL.Path), "origin", loggable(origin))
	}
	h.exchanges.open(w, r, false).begin(false)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// isOurs reports whether the handler answers a request itself.
func (h *Handler) isOurs(r *http.Request, preflight bool) bool {
	_, known := h.route(r)
	switch {
	case known, h.ownNotFound:
		return true
	case h.batch == nil:
		return false
	case preflight: // of a batch, whose path may be any
		return strings.HasPrefix(r.URL.EscapedPath(), h.prefix+"/") &&
			listed(r.Header["Access-Control-Request-Headers"], headerBatch)
	default:
		return h.batch.takes(r)
	}
}
