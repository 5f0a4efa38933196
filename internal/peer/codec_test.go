package peer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

func TestPE060_Addresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, wire string }{
		"path":                      {"http://orpc/a", "/a"},
		"path and query":            {"http://orpc/a?b=c", "/a?b=c"},
		"root":                      {"http://orpc/", "/"},
		"root and query":            {"http://orpc/?b=c", "/?b=c"},
		"two slashes":               {"http://orpc//a", "//a"},
		"escapes":                   {"http://orpc/a%2Fb/%C5%BE%20?q=%25", "/a%2Fb/%C5%BE%20?q=%25"},
		"fragment":                  {"http://orpc/a?b#c", "/a?b#c"},
		"other port":                {"http://orpc:80/a", "http://orpc:80/a"},
		"other scheme":              {"https://orpc/a", "https://orpc/a"},
		"other host":                {"http://orpc.example/a?b=c", "http://orpc.example/a?b=c"},
		"host beginning with orpc":  {"http://orpcx/a", "http://orpcx/a"},
		"user":                      {"http://u@orpc/a", "http://u@orpc/a"},
		"whole address with a path": {"https://example.com/a/b?c=d", "https://example.com/a/b?c=d"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := EncodeRequest(&Request{ID: ID(`"1"`), URL: mustURL(t, c.url)})
			require.NoError(t, err)
			require.Equal(t, `{"i":"1","p":{"u":"`+c.wire+`"}}`, string(f.Data))
			m, err := DecodeRequest(f)
			require.NoError(t, err)
			require.Equal(t, c.url, m.(*Request).URL.String())
		})
	}
}

func TestEncodeAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  *url.URL
		wire string
	}{
		"no origin":          {&url.URL{Path: "/call"}, "/call"},
		"no origin or slash": {&url.URL{Path: "call"}, "/call"},
		"no path":            {&url.URL{Scheme: "http", Host: "orpc", RawQuery: "a=b"}, "/?a=b"},
		"nothing":            {&url.URL{}, "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := encodeAddress(c.url)
			require.NoError(t, err)
			require.Equal(t, c.wire, got)
		})
	}
	for name, u := range map[string]*url.URL{
		"nil":     nil,
		"opaque":  {Scheme: "mailto", Opaque: "a@b"},
		"no host": {Scheme: "http", Path: "/a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := EncodeRequest(&Request{URL: u})
			require.ErrorIs(t, err, errNoAddress)
		})
	}
}

func TestDecodeAddress(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{
		"/..":                     "http://orpc/",
		"/a/..":                   "http://orpc/",
		"/a/.":                    "http://orpc/a/",
		"/a//../b":                "http://orpc/a/b",
		"/a/../../b":              "http://orpc/b",
		"/a/%2e%2E/b":             "http://orpc/b",
		"/a/.%2e":                 "http://orpc/",
		`/a\..\b`:                 "http://orpc/b",
		"/a?b=..\\c/../d":         "http://orpc/a?b=..\\c/../d",
		"/a b?c d":                "http://orpc/a%20b?c%20d",
		"/ž?ž='\"":                "http://orpc/%C5%BE?%C5%BE=%27%22",
		"/a|b^`{}":                "http://orpc/a%7Cb%5E%60%7B%7D",
		"/pin%67":                 "http://orpc/pin%67",
		"http://x.example\\a":     "http://x.example/a",
		"http://x.example":        "http://x.example/",
		"http://x.example?b/../c": "http://x.example/?b/../c",
	} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			u, err := parseAddress(wire)
			require.NoError(t, err)
			require.Equal(t, want, u.String())
		})
	}
	for name, wire := range map[string]string{
		"no scheme": "a/b", "backslash": `\a`, "no host": "http:///a", "opaque": "mailto:a@b", "broken escape": "/a%zz",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseAddress(wire)
			require.Error(t, err)
		})
	}
}

func TestPE061_Defaults(t *testing.T) {
	t.Parallel()
	u := mustURL(t, "http://orpc/a")
	for _, method := range []string{"", "POST", "GET", "PUT", "DELETE"} {
		f, err := EncodeRequest(&Request{Method: method, URL: u, Header: http.Header{}})
		require.NoError(t, err)
		require.NotContains(t, string(f.Data), `"h"`)
		require.Equal(t, method == "" || method == "POST", !strings.Contains(string(f.Data), `"m"`))
		m, err := DecodeRequest(f)
		require.NoError(t, err)
		require.Equal(t, cmp.Or(method, "POST"), m.(*Request).Method)
	}
	for _, status := range []int{0, 200, 201, 204, 301, 400, 500, 1000} {
		f, err := EncodeResponse(&Response{Status: status})
		require.NoError(t, err)
		require.Equal(t, status == 0 || status == 200, !strings.Contains(string(f.Data), `"s"`))
		m, err := DecodeResponse(f)
		require.NoError(t, err)
		require.Equal(t, max(status, 200), m.(*Response).Status)
	}
}

func TestPE062_EventMeta(t *testing.T) {
	t.Parallel()
	retry := func(ms int64) *int64 { return &ms }
	for name, c := range map[string]struct {
		meta EventMeta
		wire string
	}{
		"none":            {EventMeta{}, `{"i":1,"t":3,"p":{"e":"message","d":1}}`},
		"all":             {EventMeta{ID: "e", HasID: true, Retry: retry(2), Comments: []string{"a", "b"}}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"id":"e","retry":2,"comments":["a","b"]}}}`},
		"empty id":        {EventMeta{HasID: true}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"id":""}}}`},
		"retry 0":         {EventMeta{Retry: retry(0)}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"retry":0}}}`},
		"greatest retry":  {EventMeta{Retry: retry(maxRetry)}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"retry":9007199254740991}}}`},
		"empty comments":  {EventMeta{Comments: []string{}}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"comments":[]}}}`},
		"empty comment":   {EventMeta{Comments: []string{""}}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"comments":[""]}}}`},
		"id and comments": {EventMeta{ID: "é", HasID: true, Comments: []string{"<&>"}}, `{"i":1,"t":3,"p":{"e":"message","d":1,"m":{"id":"é","comments":["<&>"]}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, c.meta.Validate())
			e := &Event{ID: ID("1"), Kind: EventMessage, Data: json.RawMessage("1"), Meta: c.meta}
			wire := AppendEvent(nil, e)
			require.Equal(t, c.wire, string(wire))

			rest := AppendEventRest(nil, e.Kind, e.Data, AppendEventMeta(nil, c.meta))
			require.Equal(t, c.wire, string(JoinEvent(nil, e.ID, rest)))
			require.Equal(t, c.wire, `{"i":1`+string(rest))

			for _, decode := range []func(Frame) (Message, error){DecodeRequest, DecodeResponse} {
				m, err := decode(Frame{Data: wire})
				require.NoError(t, err)
				require.GreaterOrEqual(t, m.(*Event).cost(), len(wire))
				m.(*Event).kept = 0
				require.Equal(t, e, m)
			}
		})
	}
}

func TestEventMetaValidate(t *testing.T) {
	t.Parallel()
	retry := func(ms int64) *int64 { return &ms }
	for name, c := range map[string]struct {
		meta EventMeta
		want error
	}{
		"LF in the id":      {EventMeta{ID: "a\nb", HasID: true}, ErrLineBreak},
		"CR in the id":      {EventMeta{ID: "a\r", HasID: true}, ErrLineBreak},
		"LF in a comment":   {EventMeta{Comments: []string{"", "\n"}}, ErrLineBreak},
		"CR in a comment":   {EventMeta{Comments: []string{"a\rb"}}, ErrLineBreak},
		"negative retry":    {EventMeta{Retry: retry(-1)}, ErrRetry},
		"retry over 2^53-1": {EventMeta{Retry: retry(1 << 53)}, ErrRetry},
		"greatest int":      {EventMeta{Retry: retry(math.MaxInt64)}, ErrRetry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, c.meta.Validate(), c.want)
		})
	}
}

func TestMissingID(t *testing.T) {
	t.Parallel()
	e := &Event{Kind: EventDone}
	wire := `{"t":3,"p":{"e":"done"}}`
	require.Equal(t, wire, string(AppendEvent(nil, e)))
	require.Equal(t, wire, string(JoinEvent(nil, nil, AppendEventRest(nil, e.Kind, nil, nil))))
	require.Equal(t, `{"t":4}`, string(AppendAbort(nil, nil)))
	f, err := EncodeResponse(&Response{})
	require.NoError(t, err)
	require.Equal(t, `{"p":{}}`, string(f.Data))
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	e := &Event{ID: ID("1"), Kind: EventDone, Meta: EventMeta{HasID: true}}
	require.Equal(t, `x{`+string(AppendEvent(nil, e)), string(AppendEvent([]byte(`x{`), e)))
	require.Equal(t, `x{`+string(AppendAbort(nil, e.ID)), string(AppendAbort([]byte(`x{`), e.ID)))
	require.Equal(t, `x"id":""`, string(AppendEventMeta([]byte("x"), e.Meta)))
}

func TestPE063_AbortHasNoPayload(t *testing.T) {
	t.Parallel()
	wire := AppendAbort(nil, ID(`"a"`))
	require.Equal(t, `{"i":"a","t":4}`, string(wire))
	m, err := DecodeRequest(Frame{Data: wire})
	require.NoError(t, err)
	require.Equal(t, &Abort{ID: ID(`"a"`)}, m)
}

func TestPE069_LargeMessages(t *testing.T) {
	t.Parallel()
	const size = 10 << 20
	header := strings.Repeat("ž漢😀", size/9)
	content := bytes.Repeat([]byte{delimiter, '"', 0, '}'}, size/4)
	f, err := EncodeResponse(&Response{
		ID:     ID("1"),
		Header: http.Header{"X-Long": {header}, "Content-Disposition": {`inline; filename="a"`}},
		Body:   Body{Bytes: content},
	})
	require.NoError(t, err)
	m, err := DecodeResponse(f)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256([]byte(header)), sha256.Sum256([]byte(m.(*Response).Header.Get("X-Long"))))
	require.Equal(t, sha256.Sum256(content), sha256.Sum256(m.(*Response).Body.Bytes))
}

func TestJSONTextIsJavaScripts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<a href=\"x\">&amp;</a>": `"<a href=\"x\">&amp;</a>"`,
		"\u2028\u2029\x7f":        "\"\u2028\u2029\x7f\"",
		"\b\f\n\r\t\\/":           `"\b\f\n\r\t\\/"`,
		"\x00\x1f":                `"\u0000\u001f"`,
		"a\xffb\xefc\uFFFD":       "\"a\uFFFDb\uFFFDc\uFFFD\"",
		"":                        `""`,
	} {
		require.Equal(t, want, string(jsontext.AppendString(nil, in)))
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	f, err := EncodeResponse(&Response{Header: http.Header{
		"X-B": {"<2>"}, "X-A": {"1", ""}, "Not Canonical": {"3"}, "X-None": {}, "X-Nil": nil, "x-lower": {""},
	}})
	require.NoError(t, err)
	require.Equal(t, `{"p":{"h":{"not canonical":"3","x-a":["1",""],"x-b":"<2>","x-lower":""}}}`, string(f.Data))

	m, err := DecodeResponse(textFrame(`{"p":{"h":{"X-UPPER":"1","x-list":["a","b"],"x-null":null,"x-empty":[],"x-\u0061":"\u00e9"}}}`))
	require.NoError(t, err)
	require.Equal(t, http.Header{"X-Upper": {"1"}, "X-List": {"a", "b"}, "X-A": {"é"}}, m.(*Response).Header)
}

func TestMemberNamesAreExact(t *testing.T) {
	t.Parallel()
	m, err := DecodeRequest(textFrame(`{"I":"2","i":"1","T":4,"P":5,"p":{"U":"/b","u":"/a","B":1,"M":"GET"}}`))
	require.NoError(t, err)
	r := m.(*Request)
	require.Equal(t, `"1"`, string(r.ID))
	require.Equal(t, "http://orpc/a", r.URL.String())
	require.Equal(t, "POST", r.Method)
	require.Equal(t, Body{}, r.Body)
}

func TestByteOrderMarkMeansNothing(t *testing.T) {
	t.Parallel()
	for _, f := range []Frame{
		textFrame("\uFEFF" + `{"i":"1","p":{"u":"/a"}}`),
		{Data: []byte("\uFEFF" + `{"i":"1","p":{"u":"/a"}}` + "\xFF\uFEFF"), Binary: true},
	} {
		m, err := DecodeRequest(f)
		require.NoError(t, err)
		require.Equal(t, `"1"`, string(m.(*Request).ID))
	}
}

func TestDecodeTakesAnyJSONLayout(t *testing.T) {
	t.Parallel()
	m, err := DecodeRequest(textFrame(" {\n\t\"\\u0070\" : { \"b\" : [ {\"a\":\"]}\\\"\"} , 2 ] ,\r\n \"u\" : \"\\/a\" } , \"i\" : {\"x\": 1} , \"t\" : true } "))
	require.NoError(t, err)
	r := m.(*Request)
	require.Equal(t, `{"x": 1}`, string(r.ID))
	require.Equal(t, `[ {"a":"]}\""} , 2 ]`, string(r.Body.JSON))
	require.Equal(t, "/a", r.URL.Path)
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	longID := `"` + strings.Repeat("x", MaxID-2) + `"`
	for name, c := range map[string]struct {
		decode func(Frame) (Message, error)
		frame  string
		id     string
		event  bool
		is     error
	}{
		"id of a byte too much":     {DecodeRequest, `{"i":` + longID[:1] + "y" + longID[1:] + `,"p":{"u":"/"}}`, "", false, ErrIDTooLong},
		"abort with a long id":      {DecodeRequest, `{"i":` + longID[:1] + "y" + longID[1:] + `,"t":4}`, "", false, ErrIDTooLong},
		"payload is null":           {DecodeRequest, `{"i":1,"p":null}`, "1", false, nil},
		"payload is a list":         {DecodeResponse, `{"i":1,"p":[]}`, "1", false, nil},
		"address is a number":       {DecodeRequest, `{"i":1,"p":{"u":1}}`, "1", false, errNoText},
		"method is a number":        {DecodeRequest, `{"i":1,"p":{"u":"/","m":1}}`, "1", false, errNoText},
		"headers are a text":        {DecodeRequest, `{"i":1,"p":{"u":"/","h":"x"}}`, "1", false, nil},
		"header is a number":        {DecodeRequest, `{"i":1,"p":{"u":"/","h":{"x":1}}}`, "1", false, errNoTexts},
		"header is a list of null":  {DecodeResponse, `{"i":1,"p":{"h":{"x":[null]}}}`, "1", false, errNoTexts},
		"status is negative":        {DecodeResponse, `{"i":1,"p":{"s":-1}}`, "1", false, errStatus},
		"status is fractional":      {DecodeResponse, `{"i":1,"p":{"s":200.5}}`, "1", false, errStatus},
		"response form has nothing": {DecodeResponse, `{"i":1,"p":{"h":{"content-type":"multipart/form-data; boundary=x"}}}`, "1", false, nil},
		"event kind is a number":    {DecodeResponse, `{"i":1,"t":3,"p":{"e":1}}`, "1", true, errNoText},
		"event id is a number":      {DecodeResponse, `{"i":1,"t":3,"p":{"e":"message","m":{"id":1}}}`, "1", true, errNoText},
		"event retry is negative":   {DecodeResponse, `{"i":1,"t":3,"p":{"e":"message","m":{"retry":-1}}}`, "1", true, ErrRetry},
		"event retry is fractional": {DecodeResponse, `{"i":1,"t":3,"p":{"e":"message","m":{"retry":1.5}}}`, "1", true, ErrRetry},
		"event comments are a text": {DecodeResponse, `{"i":1,"t":3,"p":{"e":"message","m":{"comments":"c"}}}`, "1", true, errNoTexts},
		"event metadata is a list":  {DecodeResponse, `{"i":1,"t":3,"p":{"e":"message","m":[]}}`, "1", true, nil},
		"two values":                {DecodeRequest, `{"i":1,"p":{"u":"/"}}{}`, "1", false, nil},
		"request cut off":           {DecodeRequest, `{"i":1,"p":{"u":"/"`, "1", false, nil},
		"request nested too deep":   {DecodeRequest, `{"p":{"u":"/","b":` + nested(2001) + `},"i":1}`, "1", false, nil},
		"event nested too deep":     {DecodeRequest, `{"i":1,"t":3,"p":{"d":` + nested(2001) + `}}`, "1", true, nil},
		"abort nested too deep":     {DecodeRequest, `{"i":1,"t":4,"p":` + nested(2001) + `}`, "", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.decode(textFrame(c.frame))
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.id, string(bad.ID))
			require.Equal(t, c.event, bad.Event)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	_, err := DecodeRequest(textFrame(`{"i":` + longID + `,"p":{"u":"/"}}`))
	require.NoError(t, err, "an id of MaxID bytes passes")
}

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	long := ID(strings.Repeat("1", MaxID+1))
	both := Body{JSON: json.RawMessage("1"), Bytes: []byte{1}}
	u := mustURL(t, "http://orpc/a")
	_, err := EncodeRequest(&Request{ID: long, URL: u})
	require.ErrorIs(t, err, ErrIDTooLong)
	_, err = EncodeRequest(&Request{URL: u, Body: both})
	require.ErrorContains(t, err, "both")
	_, err = EncodeResponse(&Response{ID: long})
	require.ErrorIs(t, err, ErrIDTooLong)
	_, err = EncodeResponse(&Response{Body: both})
	require.ErrorContains(t, err, "both")
	_, err = EncodeResponse(&Response{Status: -1})
	require.ErrorIs(t, err, errStatus)
}
