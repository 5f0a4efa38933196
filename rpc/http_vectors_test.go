package rpc_test

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type exchange struct {
	Name    string
	SentBy  string
	Request *struct {
		Method, Path string
		Headers      [][2]string
		Body         string
	}
	Response *struct {
		Status  int
		Headers [][2]string
		Body    string
		Chunks  []struct {
			T    int // milliseconds
			Data string
		}
	}
	ClientResult json.RawMessage
	ClientError  *wireError
}

func (e exchange) requestHeader() http.Header { return headerOf(e.Request.Headers) }

func (e exchange) responseHeader() http.Header { return headerOf(e.Response.Headers) }

func headerOf(pairs [][2]string) http.Header {
	header := http.Header{}
	for _, h := range pairs {
		header.Add(h[0], h[1])
	}
	return header
}

// input returns the value that the original client has sent.
func (e exchange) input(t *testing.T) value.Value {
	t.Helper()
	s := new(serializer.Serializer)
	if mediaType(t, e.requestHeader()) != "multipart/form-data" {
		v, err := s.Value([]byte(e.Request.Body))
		require.NoError(t, err)
		return v
	}
	f, err := form.Read(strings.NewReader(e.Request.Body), e.requestHeader().Get("Content-Type"), form.Options{})
	require.NoError(t, err)
	v, err := s.FormValue(f.Data, f.Files)
	require.NoError(t, err)
	return v
}

// laterExchanges are run by other tests.
var laterExchanges = map[string]string{
	"event iterator":                "run by TestHandlerAnswersRecordedStreams",
	"event iterator with error":     "run by TestHandlerAnswersRecordedStreams",
	"event iterator with keepalive": "run by TestHandlerAnswersRecordedStreams",
	"client iterator":               "run by TestHandlerAnswersRecordedStreams",
	"client iterator as input":      "the original sends nothing",
}

// durableExchanges are run by the package durableiterator.
var durableExchanges = map[string]string{
	"durable iterator":             "token as output",
	"durable iterator without rpc": "token as output",
	"durable iterator, empty rpc":  "token as output",
}

// changedExchanges are answered in another way on purpose.
var changedExchanges = map[string]struct {
	status int
	code   rpc.Code
	reason string
}{
	"text/plain body":                    {415, rpc.CodeUnsupportedMediaType, "the original loses the input silently"},
	"urlencoded body":                    {415, rpc.CodeUnsupportedMediaType, "the original loses the input silently"},
	"octet-stream body":                  {415, rpc.CodeUnsupportedMediaType, "the original loses the input silently"},
	"content-disposition with JSON body": {415, rpc.CodeUnsupportedMediaType, "the original loses the input silently"},
	"HEAD":                               {405, "", "the original runs procedures on any method; the answer has no body"},
	"OPTIONS":                            {405, rpc.CodeMethodNotSupported, "the original runs procedures on any method"},
}

// changedTexts are bodies in which a text differs on purpose.
var changedTexts = map[string]struct{ recorded, ours, reason string }{
	"client upload": {`%22q%22`, `\"q\"`, "the runtime of the recorded server does not decode the names of files"},
}

// reorderedExchanges are answered with the members of objects in another order.
var reorderedExchanges = map[string]string{
	"client natives": "keys of a Go map are sent in order, those of an object as they were made",
}

func decoded(t *testing.T, body string) any {
	t.Helper()
	var v any
	require.NoError(t, new(serializer.Serializer).Decode([]byte(body), &v))
	return v
}

func exchanges(t *testing.T) []exchange {
	t.Helper()
	var file struct{ Exchanges []exchange }
	vectors(t, "http.json", &file)
	known := map[string]bool{}
	var run []exchange
	for _, e := range file.Exchanges {
		known[e.Name] = true
		if laterExchanges[e.Name] == "" && durableExchanges[e.Name] == "" {
			run = append(run, e)
		}
	}
	listed := slices.Concat(
		slices.Collect(maps.Keys(laterExchanges)), slices.Collect(maps.Keys(durableExchanges)),
		slices.Collect(maps.Keys(changedExchanges)), slices.Collect(maps.Keys(reorderedExchanges)),
		slices.Collect(maps.Keys(changedTexts)),
	)
	for _, name := range listed {
		require.True(t, known[name], "no exchange %q", name)
	}
	return run
}

func TestHandlerAnswersRecordedRequests(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Prefix: "/rpc"}))
	t.Cleanup(server.Close)
	for _, e := range exchanges(t) {
		t.Run(e.Name, func(t *testing.T) {
			status, header, body := send(t, server.URL, e)
			if change, ok := changedExchanges[e.Name]; ok {
				require.Equal(t, change.status, status)
				if change.code != "" {
					require.Equal(t, change.code, errorIn(t, body).Code)
				}
				return
			}
			require.Equal(t, e.Response.Status, status)
			require.Equal(t, mediaType(t, e.responseHeader()), mediaType(t, header))
			if change, ok := changedTexts[e.Name]; ok {
				require.Equal(t, strings.ReplaceAll(e.Response.Body, change.recorded, change.ours), string(body))
				return
			}
			if strings.HasPrefix(e.Name, "validation error") {
				requireSameButIssues(t, e.Response.Body, string(body))
				return
			}
			if mediaType(t, header) == "multipart/form-data" {
				require.Equal(t, comparableForm(t, e.responseHeader(), e.Response.Body), comparableForm(t, header, string(body)))
				require.Equal(t, strconv.Itoa(len(body)), header.Get("Content-Length"))
				return
			}
			if reorderedExchanges[e.Name] != "" {
				require.Equal(t, decoded(t, e.Response.Body), decoded(t, string(body)))
			} else {
				require.Equal(t, e.Response.Body, string(body))
			}
			require.Equal(t, e.responseHeader().Get("Content-Length"), header.Get("Content-Length"))
		})
	}
}

// send sends the recorded request, chunked if it was.
func send(t *testing.T, address string, e exchange) (int, http.Header, []byte) {
	t.Helper()
	var body io.Reader = strings.NewReader(e.Request.Body)
	header := http.Header{}
	for _, h := range e.Request.Headers {
		switch strings.ToLower(h[0]) {
		case "transfer-encoding":
			body = io.MultiReader(body) // hides the length
		case "content-length", "accept-encoding":
		default:
			header.Add(h[0], h[1])
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), e.Request.Method, address+e.Request.Path, body)
	require.NoError(t, err)
	r.Header = header
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, answer
}

func mediaType(t *testing.T, header http.Header) string {
	t.Helper()
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	require.NoError(t, err)
	return mediaType
}

// requireSameButIssues leaves out the wording of issues, which is the validation
// library's.
func requireSameButIssues(t *testing.T, want, got string) {
	t.Helper()
	wantError, gotError := errorIn(t, []byte(want)), errorIn(t, []byte(got))
	var wantData, gotData rpc.ValidationIssues
	require.NoError(t, json.Unmarshal(wantError.Data, &wantData))
	require.NoError(t, json.Unmarshal(gotError.Data, &gotData))
	require.Len(t, gotData.Issues, len(wantData.Issues))
	for i, issue := range gotData.Issues {
		require.NotEmpty(t, issue.Message)
		require.Equal(t, wantData.Issues[i].Path, issue.Path)
	}
	wantError.Data, gotError.Data = nil, nil
	require.Equal(t, wantError, gotError)
}

func TestLinkSendsAndReadsAsTheOriginalClient(t *testing.T) {
	t.Parallel()
	for _, e := range exchanges(t) {
		if e.SentBy != "typescript client" {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			input := e.input(t)
			network := roundTrip(func(r *http.Request) (*http.Response, error) {
				requireRequest(t, e, r)
				answer := reply(e.Response.Status, "", e.Response.Body)
				answer.Header = e.responseHeader()
				return answer, nil
			})
			link := rpc.NewLink("http://example.test/rpc", &rpc.LinkOptions{HTTPClient: network.client()})
			out, err := link.Call(t.Context(), callOf(t, e, input))
			requireResult(t, e, out, err)
		})
	}
}

// callOf returns the call that the original client has made.
func callOf(t *testing.T, e exchange, input value.Value) *rpc.Call {
	t.Helper()
	call := &rpc.Call{Input: input, New: func() any { return new(any) }}
	for segment := range strings.SplitSeq(strings.TrimPrefix(e.Request.Path, "/rpc/"), "/") {
		name, err := url.PathUnescape(segment)
		require.NoError(t, err)
		call.Path = append(call.Path, name)
	}
	for _, h := range e.Request.Headers {
		if h[0] == "last-event-id" {
			call.LastEventID = h[1]
		}
	}
	return call
}

func requireRequest(t *testing.T, e exchange, r *http.Request) {
	require.Equal(t, e.Request.Method, r.Method)
	require.Equal(t, e.Request.Path, r.URL.EscapedPath())
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	if recorded := e.requestHeader(); mediaType(t, recorded) == "multipart/form-data" {
		require.Equal(t, comparableForm(t, recorded, e.Request.Body), comparableForm(t, r.Header, string(body)))
		return
	}
	for _, h := range e.Request.Headers {
		if h[0] == "content-type" || h[0] == "last-event-id" {
			require.Equal(t, h[1], r.Header.Get(h[0]))
		}
	}
	require.Equal(t, e.Request.Body, string(body))
}

// comparableForm returns a form without its random parts, and without the line break at its
// end, which not every writer makes.
func comparableForm(t *testing.T, header http.Header, body string) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	require.NoError(t, err)
	require.Len(t, strings.Split(body, params["boundary"]), 4, "three boundaries")
	return strings.TrimSuffix(strings.ReplaceAll(body, params["boundary"], "boundary"), "\r\n")
}

func requireResult(t *testing.T, e exchange, out any, err error) {
	t.Helper()
	if e.ClientError == nil {
		require.NoError(t, err)
		require.Equal(t, untag(t, e.ClientResult), out)
		return
	}
	var got *rpc.Error
	require.ErrorAs(t, err, &got)
	want := e.ClientError
	require.Equal(t, rpc.Error{Code: want.Code, Status: want.Status, Message: want.Message, Defined: want.Defined},
		rpc.Error{Code: got.Code, Status: got.Status, Message: got.Message, Defined: got.Defined})
	if got.Code == rpc.CodeNotFound {
		data, err := rpc.ErrorData[rpc.ErrorResponse](err)
		require.NoError(t, err)
		require.Equal(t, rpc.ErrorResponse{Status: e.Response.Status, Headers: e.responseHeader(), Body: e.Response.Body}, data)
		return
	}
	wantData := untag(t, want.Data)
	if wantData == (any(value.Undefined{})) {
		require.Nil(t, got.Data)
		return
	}
	data, err := rpc.ErrorData[any](err)
	require.NoError(t, err)
	require.Equal(t, wantData, data)
}
