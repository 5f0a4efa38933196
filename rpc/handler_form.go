package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// readBodyForm reads the input of a request from its body, a form. Its errors are
// *Error.
func (h *Handler) readBodyForm(w http.ResponseWriter, r *http.Request) (value.Value, *form.Form, error) {
	if r.ContentLength > h.maxBodyBytes {
		return value.Value{}, nil, &Error{Code: CodePayloadTooLarge}
	}
	body := http.MaxBytesReader(w, r.Body, h.maxBodyBytes)
	options := form.Options{MaxBytes: h.maxBodyBytes}
	v, f, err := readForm(body, r.Header.Get(headerContentType), options, h.engine.serializer)
	if err == nil {
		_, _ = io.Copy(io.Discard, body) // what may follow a form is no part of it
	}
	return v, f, formError(err)
}

// formError gives the error that the caller is sent for a form that could not be
// read.
func formError(err error) error {
	_, onDisk := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, form.ErrTooLarge):
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case onDisk:
		return internalError(err)
	}
	return bodyError(err)
}

// closeForm removes the temporary files of an input.
func (h *Handler) closeForm(ctx context.Context, f *form.Form) {
	if f == nil {
		return
	}
	if err := f.Close(); err != nil {
		h.engine.logger.WarnContext(ctx, "temporary files not removed", "err", err)
	}
}

// formHeld is how much of a form is made before anything is sent: as long as it
// may still be answered that a file cannot be read.
const formHeld = 64 << 10

// writeFormAnswer sends an answer that holds files, as they are read. Once it has
// begun it can only be cut off.
func (h *Handler) writeFormAnswer(ctx context.Context, x *exchange, call *Call, a answer) {
	boundary := form.Boundary()
	header := x.w.Header()
	mergeHeader(header, a.header)
	header.Del(headerDisposition)
	header.Del("Content-Length")
	header.Set(headerContentType, form.ContentType(boundary))
	if length := formLength(boundary, a.body); length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	body := &formAnswer{x: x, status: httpStatus(a.status)}
	held := bufio.NewWriterSize(body, formHeld)
	err := writeForm(held, boundary, a.body)
	if err == nil {
		err = held.Flush()
	}
	switch {
	case err == nil:
		return
	case body.err != nil:
		h.engine.logger.DebugContext(ctx, "answer not sent", "err", body.err)
	case !body.begun:
		x.writeAnswer(h.engine.answerError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err))))
		return
	default:
		h.engine.logError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err)))
	}
	panic(http.ErrAbortHandler)
}

// formAnswer sends the header of an answer with the first of its body.
type formAnswer struct {
	x      *exchange
	status int
	begun  bool
	err    error // of x
}

func (a *formAnswer) Write(p []byte) (int, error) {
	if !a.begun {
		a.begun = true
		a.x.begin(false)
		a.x.w.WriteHeader(a.status)
	}
	n, err := a.x.Write(p)
	if err != nil {
		a.err = err
	}
	return n, err
}
