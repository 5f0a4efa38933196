package rpc

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/batch"
)

const headerBatch = batch.Header

// defaultBatchSize is how many requests a batch may have: oRPC's default.
const defaultBatchSize = 10

// reservedHeaders are the headers of a batch that its calls cannot replace: those that the Fetch
// standard forbids pages to set, so that servers can rely on them; those of the connection; and
// those in which proxies name the client.
var reservedHeaders = []string{
	"Accept-Charset",
	"Accept-Encoding",
	"Cf-Connecting-Ip",
	"Connection",
	"Content-Disposition",
	"Content-Encoding",
	"Content-Length",
	"Content-Type",
	"Cookie",
	"Cookie2",
	"Date",
	"Dnt",
	"Expect",
	"Fly-Client-Ip",
	"Forwarded",
	"Host",
	"Keep-Alive",
	"Origin",
	"Referer",
	"Set-Cookie",
	"Te",
	"Trailer",
	"Transfer-Encoding",
	"True-Client-Ip",
	"Upgrade",
	"Via",
	"X-Client-Ip",
	"X-Cluster-Client-Ip",
	"X-Http-Method",
	"X-Http-Method-Override",
	"X-Method-Override",
	"X-Original-Url",
	"X-Real-Ip",
	"X-Rewrite-Url",
}

// reservedPrefixes are prefixes of the names of further such headers.
var reservedPrefixes = []string{"Access-Control-", "Proxy-", "Sec-", "X-Forwarded-"}

// isReserved reports whether a header, by its canonical name, can only be set by the batch.
func isReserved(name string) bool {
	return slices.Contains(reservedHeaders, name) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// reservedPart returns a string with the reserved headers of a call. Calls for which it differs
// cannot be in the same batch.
func reservedPart(header http.Header) string {
	var part []string
	for name, values := range header {
		if name != headerContentType && isReserved(name) {
			part = append(part, name+": "+strings.Join(values, "\n"))
		}
	}
	slices.Sort(part)
	return strings.Join(part, "\r\n")
}

// itemHeader returns the headers of a call in a batch: those of the batch, replaced by the call's
// own headers where it may set them. The canonical names of reserved are further headers that it
// may not set.
func itemHeader(ofBatch, own http.Header, reserved map[string]bool) http.Header {
	header := ofBatch.Clone()
	for _, name := range []string{headerContentType, headerDisposition, "Content-Encoding", "Content-Length", headerBatch} {
		header.Del(name)
	}
	for name, values := range own {
		if !reserved[name] && !isReserved(name) {
			header[name] = values
		}
	}
	return header
}

// commonHeader returns the headers that have the same values in all calls.
func commonHeader(calls []http.Header) http.Header {
	common := http.Header{}
	for name, values := range calls[0] {
		differs := func(call http.Header) bool { return !slices.Equal(call[name], values) }
		if name != headerContentType && !slices.ContainsFunc(calls, differs) {
			common[name] = values
		}
	}
	return common
}

// ownHeader returns the headers of a call that the batch does not have.
func ownHeader(header, common http.Header) http.Header {
	own := http.Header{}
	for name, values := range header {
		if _, shared := common[name]; !shared && name != headerContentType {
			own[name] = values
		}
	}
	return own
}
