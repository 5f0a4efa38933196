package rpc

import (
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

func init() { //nolint:gochecknoinits // package transport cannot access these in any other way
	bridge.Set(newSocketServers, newSocketClient, func(status int, header http.Header, body string) *Error {
		return ErrorResponse{Status: status, Headers: header, Body: body}.err()
	}, func(dst []byte, m EventMeta) ([]byte, error) {
		meta, err := m.peerMeta()
		if err != nil {
			return dst, err
		}
		return peer.AppendEventMeta(dst, meta), nil
	}, func(value any, stack []byte) error { return &PanicError{Value: value, Stack: stack} })
}
