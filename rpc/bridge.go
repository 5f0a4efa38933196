package rpc

import (
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/bridge"
)

func init() { //nolint:gochecknoinits // package transport cannot reach these in any other way
	bridge.NewServers = newSocketServers
	bridge.NewClient = newSocketClient
	bridge.AnswerError = func(status int, header http.Header, body string) *Error { //nolint:reassign // as above, and no error
		return ErrorResponse{Status: status, Headers: header, Body: body}.err()
	}
}
