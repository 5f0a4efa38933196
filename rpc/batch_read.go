package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/batch"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

// readBatchStream settles calls with answers as they come.
func readBatchStream(whole *http.Response, stream *sse.Reader, calls []*batchedCall) error {
	for {
		m, err := stream.Next()
		if err == io.EOF { //nolint:errorlint // a connection that broke may wrap it
			return nil
		}
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		kind, ok := m.Kind()
		switch {
		case !ok:
			continue
		case kind != peer.EventMessage:
			return nil
		}
		if err := settleItem(whole, m.Data, calls); err != nil {
			return err
		}
	}
}

// readBatchList settles calls with the answers of a list.
func readBatchList(whole *http.Response, body io.Reader, calls []*batchedCall) error {
	list := json.NewDecoder(body)
	if token, err := list.Token(); err != nil || token != json.Delim('[') {
		return fmt.Errorf("read answer: %w", errors.Join(errNoBatch, err))
	}
	for list.More() {
		var item json.RawMessage
		if err := list.Decode(&item); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if err := settleItem(whole, item, calls); err != nil {
			return err
		}
	}
	return nil
}

var errNoBatch = errors.New("it is no answer to a batch")

// settleItem settles the call that an answer belongs to, with the answer in the form
// that it has over HTTP.
func settleItem(whole *http.Response, text []byte, calls []*batchedCall) error {
	item, err := batch.ParseResponse(text)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if item.Index < 0 || item.Index >= len(calls) {
		return fmt.Errorf("read answer: %w", errNoBatch)
	}
	if item.Status == 0 {
		item.Status = whole.StatusCode
	}
	body := []byte(item.Body)
	item.Header.Del(headerDisposition)
	item.Header.Set(headerContentType, "application/json")
	if bare, ok := plainText(peer.Body{JSON: item.Body}); ok && isErrorStatus(item.Status) {
		body = []byte(bare)
		item.Header.Set(headerContentType, "text/plain")
	}
	calls[item.Index].settle(batchedAnswer{response: &http.Response{
		StatusCode: item.Status, Header: item.Header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		Request: calls[item.Index].request,
	}})
	return nil
}
