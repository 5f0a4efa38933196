package batch_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/batch"
)

// recorded is a batch as the packages of @orpc 1.16.1 send and answer it.
type recorded struct {
	Name     string          `json:"name"`
	Method   string          `json:"method"`
	Mode     string          `json:"mode"`
	Requests json.RawMessage `json:"requests"` // as a string
	Status   int             `json:"status"`
	Answer   string          `json:"answer"`
}

func recordings(t *testing.T) []recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/batch.json")
	require.NoError(t, err)
	var all []recorded
	require.NoError(t, json.Unmarshal(data, &all))
	return all
}

func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	for _, r := range recordings(t) {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			var text string
			require.NoError(t, json.Unmarshal(r.Requests, &text))
			requests, err := batch.ParseRequests([]byte(text), r.Method, 10)
			require.NoError(t, err)
			if r.Method == http.MethodPost {
				require.Len(t, requests, 6)
				require.Equal(t, "/rpc/echo", requests[0].URL.Path)
				require.Equal(t, http.Header{"X-Call": {"fail"}, "X-List": {"a", "b"}}, requests[3].Header)
				require.Equal(t, http.MethodPut, requests[1].Method)
				require.JSONEq(t, `{}`, string(requests[2].Body))
			} else {
				require.Equal(t, "data=%7B%7D", requests[1].URL.RawQuery)
				require.Nil(t, requests[1].Body)
			}
			require.Equal(t, text, string(batch.AppendRequests(nil, r.Method, requests)))
		})
	}
}

func TestRecordedResponses(t *testing.T) {
	t.Parallel()
	for _, r := range recordings(t) {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, batch.Status, r.Status)
			var items []json.RawMessage
			if r.Mode == batch.Buffered {
				require.NoError(t, json.Unmarshal([]byte(r.Answer), &items))
			} else {
				for line := range strings.Lines(r.Answer) {
					if data, ok := strings.CutPrefix(line, "data: "); ok {
						items = append(items, json.RawMessage(strings.TrimSpace(data)))
					}
				}
			}
			require.NotEmpty(t, items)
			for _, item := range items {
				response, err := batch.ParseResponse(item)
				require.NoError(t, err)
				require.Equal(t, string(item), string(batch.AppendResponse(nil, response)))
			}
		})
	}
}

func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":          {``, batch.ErrInvalid},
		"no list":          {`{}`, batch.ErrInvalid},
		"null":             {`null`, batch.ErrInvalid},
		"not closed":       {`[`, batch.ErrInvalid},
		"text after it":    {`[] []`, batch.ErrInvalid},
		"a number":         {`[1]`, batch.ErrInvalid},
		"no address":       {`[{}]`, batch.ErrInvalid},
		"relative":         {`[{"url":"//h/a"}]`, batch.ErrInvalid},
		"opaque":           {`[{"url":"mailto:a"}]`, batch.ErrInvalid},
		"headers":          {`[{"url":"http://h","headers":[]}]`, batch.ErrInvalid},
		"header":           {`[{"url":"http://h","headers":{"a":{}}}]`, batch.ErrInvalid},
		"list in a header": {`[{"url":"http://h","headers":{"a":[1]}}]`, batch.ErrInvalid},
		"too many":         {`[{"url":"http://h"},{"url":"http://h"},{"url":"http://h"}`, batch.ErrTooMany},
		"large headers": {`[{"url":"http://h","headers":{"a":"` + strings.Repeat("x", batch.MaxHeaderBytes) + `"}}]`,
			batch.ErrHeaderTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := batch.ParseRequests([]byte(c.text), http.MethodPost, 2)
			require.ErrorIs(t, err, c.want)
		})
	}
}

// A large batch of empty requests costs no more than the allowed number of requests.
func TestRequestsBeyondTheLimitAreNotRead(t *testing.T) {
	text := []byte("[" + strings.Repeat(`{"url":"http://h"},`, 50_000) + "{}]")
	var err error
	allocations := testing.AllocsPerRun(1, func() { _, err = batch.ParseRequests(text, http.MethodPost, 10) })
	require.ErrorIs(t, err, batch.ErrTooMany)
	require.Less(t, allocations, 500.0)
}

func TestByteOrderMarkIsDropped(t *testing.T) {
	t.Parallel()
	requests, err := batch.ParseRequests([]byte("\uFEFF"+`[{"url":"http://h/a"}]`), http.MethodPost, 1)
	require.NoError(t, err)
	require.Equal(t, "/a", requests[0].URL.Path)
	_, err = batch.ParseRequests([]byte("\uFEFF\uFEFF[]"), http.MethodPost, 1)
	require.ErrorIs(t, err, batch.ErrInvalid)
}

func TestNullMembersAreAbsent(t *testing.T) {
	t.Parallel()
	requests, err := batch.ParseRequests([]byte(`[{"url":"http://h/a","method":null,"headers":null,"more":1}]`), "GET", 1)
	require.NoError(t, err)
	require.Equal(t, http.MethodGet, requests[0].Method)
	require.Equal(t, http.Header{}, requests[0].Header)
}
