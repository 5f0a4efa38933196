package rpc

import (
	"context"
	"fmt"
	"net/http"
)

// origins decides which requests of browsers are served.
type origins struct {
	protection *http.CrossOriginProtection
	trusted    func(origin string) bool // besides those that protection trusts; nil: none
}

func newOrigins(o *HandlerOptions) *origins {
	protection := http.NewCrossOriginProtection()
	for _, origin := range o.TrustedOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			panic(fmt.Sprintf("rpc: NewHandler: trusted origins: %v", err))
		}
	}
	return &origins{protection: protection, trusted: o.TrustedOriginFunc}
}

// check returns an error for a request that a page of another origin has made.
func (o *origins) check(r *http.Request) (err error) {
	defer recoverTo(&err)
	refused := o.protection.Check(r)
	if refused == nil {
		return nil
	}
	if origin := r.Header.Get("Origin"); origin != "" && o.trusted != nil && o.trusted(origin) {
		return nil
	}
	return &Error{Code: CodeForbidden, Message: "Cross-origin request refused", cause: refused}
}

// refuseOrigin answers a request of a page of another origin. Its call runs nothing, no
// interceptor either: the credentials in it are not those of who made it.
func (h *Handler) refuseOrigin(ctx context.Context, x *exchange, call *Call, err error) {
	h.engine.logger.WarnContext(ctx, "cross-origin request refused", "path", call.Path, "origin", x.r.Header.Get("Origin"), "err", err)
	x.writeAnswer(h.engine.answerError(ctx, call, err))
}
