package rpc

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkOrigin returns an error for an origin that browsers do not send and that would therefore
// never match: they send origins in lower case, international names in Punycode, and no default
// port. It does not check whether it is a valid origin at all.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	port := u.Port()
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case strings.ToLower(origin) != origin:
		return fmt.Errorf("%q: browsers send it in lower case", origin)
	case strings.ContainsFunc(origin, func(r rune) bool { return r > '~' || r <= ' ' }), strings.Contains(origin, "%"):
		return fmt.Errorf("%q: browsers send the host in ASCII, as xn--…", origin)
	case u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return fmt.Errorf("%q: browsers send it without the port of the scheme", origin)
	case port != "" && (err != nil || strconv.FormatUint(number, 10) != port), strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q: browsers send no such port", origin)
	}
	if host := u.Hostname(); strings.Contains(host, ":") {
		if addr, err := netip.ParseAddr(host); err != nil || addr.String() != host {
			return fmt.Errorf("%q: browsers send the address in its short form", origin)
		}
	}
	return nil
}
