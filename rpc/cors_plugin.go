package rpc

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/weborigin"
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
// WebSockets have separate options, such as durableobject.HandlerOptions.OriginPatterns.
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
		if err := cmp.Or(weborigin.Check(origin), http.NewCrossOriginProtection().AddTrustedOrigin(origin)); err != nil {
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
