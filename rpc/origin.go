package rpc

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/weborigin"
)

// origins decides which requests of browsers are served.
type origins struct {
	protection *http.CrossOriginProtection
	trusted    func(origin string) bool // besides those that protection trusts; nil: none
	cors       *cors                    // trusts more of them; nil: none
}

// newOrigins returns an error if an origin of the list is malformed.
func newOrigins(list []string, trusted func(origin string) bool, c *cors) (*origins, error) {
	o := &origins{protection: http.NewCrossOriginProtection(), trusted: trusted, cors: c}
	for _, origin := range list {
		if err := cmp.Or(weborigin.Check(origin), o.protection.AddTrustedOrigin(origin)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// check returns an error for a request that a page of another origin has made.
func (o *origins) check(r *http.Request) (err error) {
	defer bridge.RecoverTo(&err)
	refused := o.protection.Check(r)
	if refused == nil {
		return nil
	}
	if origin := r.Header.Get("Origin"); origin != "" && o.trusted != nil && o.trusted(origin) {
		return nil
	}
	if trusted, err := o.cors.trusts(r); trusted || err != nil {
		return err
	}
	return &Error{Code: CodeForbidden, Message: "Cross-origin request refused", cause: refused}
}

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

// corsMethods are the methods that pages may use: those that run procedures.
const corsMethods = "GET, POST, PUT, PATCH, DELETE"

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
