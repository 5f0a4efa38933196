package peer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// These are the differences from the original, by the name of the vector.
var (
	// sortedHeaders are cases with several headers: ours are sorted by name, so that equal
	// messages have equal encodings. Readers ignore the order.
	sortedHeaders = map[string]bool{
		"blob": true, "file": true, "file with odd name": true, "blob with own disposition": true, "empty blob": true,
		"blob without type": true, "blob holding 0xFF and JSON": true, "empty file": true,
	}

	// ownWire are cases that we encode differently.
	ownWire = map[string]string{
		// A header without a value is omitted, so there are no headers.
		"undefined header": `{"i":"1","p":{"u":"/subscribe","b":{}}}`,
	}

	// refused are cases that the original accepts and we do not.
	refused = map[string]error{
		// The original passes on a string where its types promise a number. No original
		// sends one.
		"status as string is kept": errStatus,
	}
)

type vectorWire struct{ Frame, Text, Base64 string }

func (w vectorWire) decode(t testing.TB) Frame {
	t.Helper()
	if w.Frame == "text" {
		return textFrame(w.Text)
	}
	data, err := base64.StdEncoding.DecodeString(w.Base64)
	require.NoError(t, err)
	return Frame{Data: data, Binary: true}
}

type vectorMessage struct {
	ID, Status, Body, Data json.RawMessage
	Kind, Method, URL      string
	Event                  string
	Headers                json.RawMessage
	Meta                   struct {
		Tag      string `json:"$"`
		ID       *string
		Retry    *int64
		Comments []string
	}
}

type vectorCase struct {
	Name      string
	Direction string
	Wire      vectorWire
	Decoded   vectorMessage
}

// tagged is a decoded value that JSON cannot represent.
type tagged struct {
	Tag    string          `json:"$"`
	V      json.RawMessage `json:"v"`
	Name   string          `json:"name"`
	Type   string          `json:"type"`
	Base64 string          `json:"base64"`
}

func tagOf(value json.RawMessage) tagged {
	var tag tagged
	_ = json.Unmarshal(value, &tag) // values that are not objects have no tag
	return tag
}

func isUndefined(value json.RawMessage) bool { return value == nil || tagOf(value).Tag == "undefined" }

type vectorFile struct {
	Request, Response             []vectorCase
	DecodeRequest, DecodeResponse []vectorCase
	DecodeErrors                  []vectorCase
	EventIteratorHeaders          []struct {
		Headers         json.RawMessage
		IsEventIterator bool
	}
	IDs []struct {
		N  int
		ID string
	}
}

func loadVectors(t testing.TB) *vectorFile {
	t.Helper()
	data, err := os.ReadFile("testdata/peer.json")
	require.NoError(t, err)
	v := new(vectorFile)
	require.NoError(t, json.Unmarshal(data, v))
	return v
}

// TestVectors runs every recorded message in both directions (PE-060 to PE-068).
func TestVectors(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	run := func(group string, cases []vectorCase, decode func(Frame) (Message, error), alsoEncode bool) {
		require.NotEmpty(t, cases)
		for _, c := range cases {
			t.Run(group+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				m, err := decode(c.Wire.decode(t))
				if want, ok := refused[c.Name]; ok {
					require.ErrorIs(t, err, want)
					return
				}
				require.NoError(t, err)
				requireMessage(t, c.Decoded, m)
				if alsoEncode {
					requireWire(t, c, encode(t, m))
				}
			})
		}
	}
	run("request", v.Request, DecodeRequest, true)
	run("response", v.Response, DecodeResponse, true)
	run("decodeRequest", v.DecodeRequest, DecodeRequest, false)
	run("decodeResponse", v.DecodeResponse, DecodeResponse, false)
}

func TestVectorsDecodeErrors(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).DecodeErrors {
		t.Run(c.Direction+"/"+c.Name, func(t *testing.T) {
			t.Parallel()
			decode := DecodeRequest
			if c.Direction == "response" {
				decode = DecodeResponse
			}
			_, err := decode(c.Wire.decode(t))
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			if strings.HasPrefix(c.Wire.Text, `{"i":"1"`) {
				require.Equal(t, `"1"`, string(bad.ID), "W37: the sender can be answered")
			} else {
				require.Nil(t, bad.ID)
			}
		})
	}
}

func TestVectorsEventIteratorHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).EventIteratorHeaders {
		h, err := decodeHeader(c.Headers)
		require.NoError(t, err)
		require.Equal(t, c.IsEventIterator, IsEventStream(h), string(c.Headers))
	}
}

func TestVectorsIDs(t *testing.T) {
	t.Parallel()
	want := make(map[int]string)
	last := 0
	for _, c := range loadVectors(t).IDs {
		want[c.N] = `"` + c.ID + `"`
		last = max(last, c.N)
	}
	var seq Sequence
	got := make(map[int]string)
	for n := 1; n <= last; n++ {
		id := seq.Next()
		if want[n] != "" {
			got[n] = string(id)
		}
	}
	require.Equal(t, want, got)
}

func encode(t testing.TB, m Message) Frame {
	t.Helper()
	var f Frame
	var err error
	switch m := m.(type) {
	case *Request:
		f, err = EncodeRequest(m)
	case *Response:
		f, err = EncodeResponse(m)
	case *Event:
		f = Frame{Data: AppendEvent(nil, m)}
	case *Abort:
		f = Frame{Data: AppendAbort(nil, m.ID)}
	}
	require.NoError(t, err)
	return f
}

func requireWire(t *testing.T, c vectorCase, got Frame) {
	t.Helper()
	want := c.Wire.decode(t)
	require.Equal(t, want.Binary, got.Binary)
	switch own := ownWire[c.Name]; {
	case own != "":
		require.Equal(t, own, string(got.Data))
		require.NotEqual(t, string(want.Data), own, "this difference no longer exists")
	case sortedHeaders[c.Name]:
		wantText, wantBytes, _ := bytes.Cut(want.Data, []byte{delimiter})
		gotText, gotBytes, _ := bytes.Cut(got.Data, []byte{delimiter})
		require.JSONEq(t, string(wantText), string(gotText))
		require.Equal(t, wantBytes, gotBytes)
	default:
		require.Equal(t, string(want.Data), string(got.Data))
	}
}

func requireMessage(t *testing.T, want vectorMessage, got Message) {
	t.Helper()
	var id ID
	if !isUndefined(want.ID) {
		id = ID(want.ID)
	}
	switch got := got.(type) {
	case *Request:
		require.Equal(t, "request", want.Kind)
		require.Equal(t, id, got.ID)
		require.Equal(t, want.Method, got.Method)
		require.Equal(t, want.URL, got.URL.String())
		requireHeader(t, want.Headers, got.Header)
		requireBody(t, want.Body, got.Header, got.Body)
	case *Response:
		require.Equal(t, "response", want.Kind)
		require.Equal(t, id, got.ID)
		require.Equal(t, string(want.Status), strconv.Itoa(got.Status))
		requireHeader(t, want.Headers, got.Header)
		requireBody(t, want.Body, got.Header, got.Body)
	case *Event:
		require.Equal(t, "event", want.Kind)
		require.Equal(t, id, got.ID)
		require.Equal(t, EventKind(want.Event), got.Kind)
		if isUndefined(want.Data) {
			require.Nil(t, got.Data)
		} else {
			require.JSONEq(t, string(want.Data), string(got.Data))
		}
		require.Equal(t, want.Meta.ID != nil, got.Meta.HasID)
		if want.Meta.ID != nil {
			require.Equal(t, *want.Meta.ID, got.Meta.ID)
		}
		require.Equal(t, want.Meta.Retry, got.Meta.Retry)
		require.Equal(t, want.Meta.Comments, got.Meta.Comments)
	case *Abort:
		require.Equal(t, "abort", want.Kind)
		require.Equal(t, id, got.ID)
	}
}

// requireHeader compares headers, ignoring the case of names: ours are canonical.
func requireHeader(t *testing.T, want json.RawMessage, got http.Header) {
	t.Helper()
	members := make(map[string]any)
	require.NoError(t, json.Unmarshal(want, &members))
	require.Len(t, got, len(members))
	for name, value := range members {
		if list, ok := value.([]any); ok {
			require.Len(t, got.Values(name), len(list))
			for i, v := range list {
				require.Equal(t, v, got.Values(name)[i])
			}
			continue
		}
		require.Equal(t, []string{value.(string)}, got.Values(name))
	}
}

func requireBody(t *testing.T, want json.RawMessage, h http.Header, got Body) {
	t.Helper()
	switch tag := tagOf(want); tag.Tag {
	case "undefined":
		require.Equal(t, Body{}, got)
	case "file":
		require.Nil(t, got.JSON)
		require.NotNil(t, got.Bytes)
		require.Equal(t, tag.Base64, base64.StdEncoding.EncodeToString(got.Bytes))
		require.Equal(t, tag.Type, h.Get("Content-Type"))
	case "urlsearchparams":
		var text string
		require.NoError(t, json.Unmarshal(got.JSON, &text))
		query, err := url.ParseQuery(text)
		require.NoError(t, err)
		var pairs [][2]string
		require.NoError(t, json.Unmarshal(tag.V, &pairs))
		params := url.Values{}
		for _, p := range pairs {
			params.Add(p[0], p[1])
		}
		require.Equal(t, params, query)
	case "formdata":
		requireForm(t, tag.V, h, got)
	default:
		require.Nil(t, got.Bytes)
		require.JSONEq(t, string(want), string(got.JSON))
	}
}

func requireForm(t *testing.T, want json.RawMessage, h http.Header, got Body) {
	t.Helper()
	var entries [][2]json.RawMessage
	require.NoError(t, json.Unmarshal(want, &entries))
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	require.NoError(t, err)
	form := multipart.NewReader(bytes.NewReader(got.Bytes), params["boundary"])
	for _, e := range entries {
		part, err := form.NextPart()
		require.NoError(t, err)
		require.JSONEq(t, string(e[0]), strconv.Quote(part.FormName()))
		content, err := io.ReadAll(part)
		require.NoError(t, err)
		if file := tagOf(e[1]); file.Tag == "file" {
			require.Equal(t, file.Base64, base64.StdEncoding.EncodeToString(content))
			continue
		}
		var text string
		require.NoError(t, json.Unmarshal(e[1], &text))
		require.Equal(t, text, string(content))
	}
	_, err = form.NextPart()
	require.ErrorIs(t, err, io.EOF)
}
