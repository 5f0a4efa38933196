package main

import (
	"io"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// fileProcedures are the procedures with files as inputs and outputs.
type fileProcedures struct {
	upload   rpc.Procedure[any, uploaded]
	download rpc.Procedure[rpc.Void, downloaded]
	echo     rpc.Procedure[any, any]
}

func httpFileChecks() []check {
	p := fileProcedures{upload, download, echo}
	return fileChecks("http: ", p, func(t *T) rpc.Caller { return t.link(client.Options{}) })
}

func callFileChecks() []check {
	p := fileProcedures{toolboxUpload, toolboxDownload, toolboxEcho}
	checks := fileChecks("call: ", p, func(t *T) rpc.Caller { return t.room().subscribe(subscribeInput{}) })
	return append(checks, check{name: "call: file: alone", run: func(t *T) {
		f, err := toolboxRawFile.Call(t, t.room().subscribe(subscribeInput{}), rpc.Void{})
		t.ok(err)
		t.equal(t.content(f), uploaded{Name: `r "q" é.bin`, Type: "application/octet-stream", Size: 3, Text: "raw"})
	}}, check{name: "call: file: beside natives", run: func(t *T) {
		out, err := toolboxDownload.Call(t, t.room().subscribe(subscribeInput{}), rpc.Void{})
		t.ok(err)
		t.equal(out.When, time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC))
	}})
}

// fileChecks returns the checks of files in inputs and outputs.
func fileChecks(prefix string, p fileProcedures, on func(*T) rpc.Caller) []check {
	prefix += "file: "
	uploads := func(name, typ, content string) func(*T) {
		return func(t *T) {
			in := map[string]any{"file": value.NewFile(name, typ, []byte(content))}
			out, err := p.upload.Call(t, on(t), in)
			t.ok(err)
			t.equal(out, uploaded{Name: name, Type: typ, Size: int64(len(content)), Text: content})
		}
	}
	return []check{
		{name: prefix + "upload", run: uploads("r é.txt", "text/plain", "Grüße\n")},
		{name: prefix + "upload of nothing", run: uploads("empty.bin", "application/octet-stream", "")},
		{name: prefix + "upload of 1 MiB", run: uploads("large.txt", "text/plain", strings.Repeat("x", 1<<20))},
		{name: prefix + "upload, name with quotes", run: uploads(`r "q" é.txt`, "text/plain", "q")},
		{name: prefix + "upload as it is read", run: func(t *T) {
			open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("streamed")), nil }
			in := map[string]any{"file": value.NewFileFunc("s.txt", "text/plain", -1, open)}
			out, err := p.upload.Call(t, on(t), in)
			t.ok(err)
			t.equal(out, uploaded{Name: "s.txt", Type: "text/plain", Size: 8, Text: "streamed"})
		}},
		{name: prefix + "upload without the file", run: func(t *T) {
			_, err := p.upload.Call(t, on(t), map[string]any{})
			t.invalid(err)
		}},
		{name: prefix + "download", run: func(t *T) {
			out, err := p.download.Call(t, on(t), rpc.Void{})
			t.ok(err)
			t.equal(t.content(out.File), uploaded{Name: "hello.txt", Type: "text/plain", Size: 10, Text: "hello file"})
		}},
		{name: prefix + "back and forth", run: func(t *T) { checkFileEcho(t, on(t), p.echo) }},
	}
}

// checkFileEcho sends files at several places, together with natives.
func checkFileEcho(t *T, on rpc.Caller, echo rpc.Procedure[any, any]) {
	when := time.UnixMilli(7)
	out, err := echo.Call(t, on, map[string]any{
		"when": when,
		"list": []any{
			value.NewFile("", "image/png", []byte{0, 255, 254, 10, 13}),
			map[string]any{"deep": value.NewFile("b.txt", "text/plain", []byte("b"))},
		},
	})
	t.ok(err)
	object, _ := out.(map[string]any)
	t.equal(object["when"], when)
	list, _ := object["list"].([]any)
	t.assertf(len(list) == 2, "the list has two elements: %v", out)
	t.equal(t.content(list[0]), uploaded{Name: "blob", Type: "image/png", Size: 5, Text: "\x00\xff\xfe\n\r"})
	deep, _ := list[1].(map[string]any)
	t.equal(t.content(deep["deep"]), uploaded{Name: "b.txt", Type: "text/plain", Size: 1, Text: "b"})
}

// content returns the name, type and content of a file.
func (t *T) content(given any) uploaded {
	f, ok := given.(*value.File)
	t.assertf(ok && f != nil, "the value is a file: %v", given)
	data, err := f.Bytes()
	t.ok(err)
	return uploaded{Name: f.Name, Type: f.Type, Size: int64(len(data)), Text: string(data)}
}
