package rpc

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bridge"
)

// CORSPlugin allows pages of other origins to call the procedures of a [Handler] and to read the
// responses, without middleware. It is oRPC's CORSPlugin. It responds to the preflight requests of
// browsers, OPTIONS with an Origin, with status 204, and adds the headers of cross-origin
// resource sharing to all responses of the handler, including errors. Responses of
// [HandlerOptions.NotFound] are not changed.
//
// An origin that it allows is trusted like one of [HandlerOptions.TrustedOrigins]. Unlike oRPC's,
// the plugin allows only origins that are listed: the zero value allows none. The response to a
// preflight of another origin grants nothing, and the refusal is logged at level Warn.
//
// WebSockets have separate options, such as durableobject.UpgradeOptions.OriginPatterns.
type CORSPlugin struct {
	// Origins lists the allowed origins, such as "https://app.example.com". They are compared
	// exactly. "*" allows all origins to call public procedures: a request of an origin that
	// is not allowed otherwise is refused if it has credentials that browsers add by
	// themselves: cookies, a password, or a certificate of the user.
	Origins []string
	// OriginFunc reports whether an origin that is not in Origins is allowed. It is called
	// more than once for a request, and must be safe for concurrent use. If it panics, the
	// origin is not allowed. A sandboxed page has the origin "null". Nil allows none.
	OriginFunc func(origin string) bool
	// Credentials allows pages to send the user's cookies. It cannot be combined with "*".
	Credentials bool
	// MaxAge is how long browsers may cache the response to a preflight, in whole seconds.
	// 0 means the browser's default, usually 5 s.
	MaxAge time.Duration
	// AllowHeaders lists the request headers that pages may set. Nil allows all that they
	// request.
	AllowHeaders []string
	// ExposeHeaders lists the response headers that pages may read, in addition to those that
	// clients of this library and of oRPC need.
	ExposeHeaders []string
}

// InitHandler implements [HandlerPlugin]. It copies the plugin. It panics if an origin is
// malformed or is one that browsers do not send, for example in upper case or with the default
// port of its scheme, if MaxAge is negative, and if "*" is combined with Credentials. If there
// are several CORSPlugins, the last one is used.
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
		if err := cmp.Or(checkOrigin(origin), http.NewCrossOriginProtection().AddTrustedOrigin(origin)); err != nil {
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

// cors is a CORSPlugin with its defaults. A nil *cors allows no origin.
type cors struct {
	origins     map[string]bool
	any         bool // "*" is one of the origins
	allowed     func(origin string) bool
	credentials bool
	maxAge      string // empty means none
	headers     string // empty means those that are requested
	exposed     []string
}

// names reports whether an origin is allowed other than by "*".
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

// announce sets the headers of a response to a page of an origin, and reports whether the page
// may read it.
func (c *cors) announce(header http.Header, origin string) (allowed bool, err error) {
	if !c.any && !listed(header["Vary"], "Origin") {
		header.Add("Vary", "Origin") // for caches
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

// headerExpose is the header that lists the headers that pages of other origins may read.
const headerExpose = "Access-Control-Expose-Headers"

// permit sets the headers of the response to a preflight.
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

// serveCORS sets the headers for a page of another origin. If the request is a preflight, it sends
// the response and returns true.
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

// isOurs reports whether the handler serves a request itself, rather than NotFound.
func (h *Handler) isOurs(r *http.Request, preflight bool) bool {
	_, known := h.route(r)
	switch {
	case known, h.ownNotFound:
		return true
	case h.batch == nil:
		return false
	case preflight: // of a batch, which may have any path
		return strings.HasPrefix(r.URL.EscapedPath(), h.prefix+"/") &&
			listed(r.Header["Access-Control-Request-Headers"], headerBatch)
	default:
		return h.batch.takes(r)
	}
}
