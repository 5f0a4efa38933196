package rpc

import (
	"net/http"
	"slices"
	"strings"
)

// reservedHeaders are the headers of a batch that its calls cannot replace: those
// that the Fetch standard keeps from pages, so that they can be trusted to tell where
// a request comes from; those that belong to the connection; and those in which
// proxies name the client.
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

// reservedPrefixes begin the names of further such headers.
var reservedPrefixes = []string{"Access-Control-", "Proxy-", "Sec-", "X-Forwarded-"}

// isReserved reports whether a header with a canonical name is that of the batch.
func isReserved(name string) bool {
	return slices.Contains(reservedHeaders, name) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// itemHeader returns the headers of a call in a batch: those of the batch, which the
// call's own replace where it may set them.
func (b *batchOptions) itemHeader(ofBatch, own http.Header) http.Header {
	header := ofBatch.Clone()
	for _, name := range []string{headerContentType, headerDisposition, "Content-Encoding", "Content-Length", headerBatch} {
		header.Del(name)
	}
	for name, values := range own {
		if !b.reserved[name] && !isReserved(name) {
			header[name] = values
		}
	}
	return header
}

// reservedPart describes the reserved headers of a call. Calls that differ in it
// cannot share a batch.
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
