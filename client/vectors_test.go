//go:build !js

package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// recorded is the recorded behaviour of the original client with a fake network. The
// procedure is a.b and the id of the socket is the-id.
type recorded struct {
	Detection []struct {
		Name     string
		Response struct {
			Status  int
			Headers json.RawMessage
			Body    string
		}
		Result result
	}
	URL []struct {
		Name, URL string
		Result    result
	}
	Options map[string]json.RawMessage
	Proxy   []struct {
		Token, Property, Name string
		InTokenRPC            bool
		Frames                []string
	}
}

type result struct {
	DurableIterator bool
	ConnectedTo     string
	Sent            []string
	PlainOutput     json.RawMessage
	Error           *struct {
		Class, Message string
		ORPC           *struct {
			Code   rpc.Code
			Status int
		}
	}
}

func readVectors(t *testing.T) recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/client.json")
	require.NoError(t, err)
	var r recorded
	require.NoError(t, json.Unmarshal(data, &r))
	return r
}

func readMember(t *testing.T, envelope json.RawMessage, name string, into any) {
	t.Helper()
	var body struct{ JSON map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(envelope, &body))
	require.NoError(t, json.Unmarshal(body.JSON[name], into))
}

var procedureAB = durableiterator.Define[rpc.Void, string]("a.b")

// answers is a network with one answer for all requests.
type answers struct {
	status int
	header http.Header
	body   string
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: a.header.Clone(), Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body))}, nil
}

// recordedHeaders are an object or a list of pairs. A network trims values.
func recordedHeaders(t *testing.T, raw json.RawMessage) http.Header {
	t.Helper()
	header := http.Header{}
	var pairs [][2]string
	if json.Unmarshal(raw, &pairs) != nil {
		var object map[string]string
		require.NoError(t, json.Unmarshal(raw, &object))
		for name, value := range object {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	for _, pair := range pairs {
		header.Add(pair[0], strings.TrimSpace(pair[1]))
	}
	return header
}

// subscribe begins a Subscribe of the recorded procedure, whose HTTP answer is a.
func (h *harness) subscribe(a answers, change func(*client.Options), opts ...rpc.CallOption) *dialing {
	o := h.options()
	o.CreateID = func(*token.Payload) string { return "the-id" }
	change(o)
	link := rpc.NewLink("http://h/rpc", &rpc.LinkOptions{
		HTTPClient: &http.Client{Transport: a},
		Plugins:    []rpc.LinkPlugin{(*client.LinkPlugin)(o)},
	})
	d := &dialing{t: h.t, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.it, d.err = client.Subscribe(h.t.Context(), link, procedureAB, rpc.Void{}, opts...)
	}()
	return d
}

// requireConnected checks where a client has connected to, and what it has sent first.
func (h *harness) requireConnected(want result, lastEventID string) {
	h.t.Helper()
	s := h.accept()
	f := s.next()
	var recordedFrame, sent map[string]any
	require.Len(h.t, want.Sent, 1)
	require.NoError(h.t, json.Unmarshal([]byte(want.Sent[0]), &recordedFrame))
	require.NoError(h.t, json.Unmarshal([]byte(f.text), &sent))
	header := sent["p"].(map[string]any)["h"].(map[string]any)
	require.Equal(h.t, "1", header["x-durable-iterator"])
	delete(header, "x-durable-iterator") // the one intended difference
	if len(header) == 0 {
		delete(sent["p"].(map[string]any), "h")
	}
	require.Equal(h.t, recordedFrame, sent)
	require.Equal(h.t, lastEventID, f.Payload.Header["last-event-id"])
	s.sub = f.ID
	s.openPlain()

	u, err := url.Parse(want.ConnectedTo)
	require.NoError(h.t, err)
	tried := h.tried()
	last := tried[len(tried)-1]
	require.Equal(h.t, u.EscapedPath(), last.url.EscapedPath())
	require.Equal(h.t, u.RawQuery, last.url.RawQuery)
	require.Equal(h.t, u.Host, last.host)
}

func TestRecordedDetection(t *testing.T) {
	// The original returns outputs of other procedures unchanged. Subscribe fails, since
	// they are not durable iterators.
	for _, c := range readVectors(t).Detection {
		t.Run(c.Name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				a := answers{c.Response.Status, recordedHeaders(t, c.Response.Headers), c.Response.Body}
				d := h.subscribe(a, func(o *client.Options) { o.URL = "ws://h/room" })
				switch {
				case c.Result.DurableIterator:
					h.requireConnected(c.Result, "")
					d.iterator()
				case c.Result.PlainOutput != nil:
					require.ErrorIs(t, d.failure(), client.ErrNoToken)
				case c.Result.Error.ORPC != nil:
					require.Equal(t, c.Result.Error.ORPC.Code, rpc.CodeOf(d.failure()))
				default:
					require.Equal(t, "Expected valid token for procedure a.b", c.Result.Error.Message)
					err := d.failure()
					require.ErrorIs(t, err, client.ErrNoToken)
					require.ErrorContains(t, err, "expected valid token for procedure a.b")
				}
			})
		})
	}
}

func goodAnswer(t *testing.T) answers {
	t.Helper()
	c := readVectors(t).Detection[0]
	require.Equal(t, "good", c.Name)
	return answers{c.Response.Status, recordedHeaders(t, c.Response.Headers), c.Response.Body}
}

func TestRecordedAddresses(t *testing.T) {
	address := func(text string) func(o *client.Options) { return func(o *client.Options) { o.URL = text } }
	function := func(f func(p *token.Payload) string) func(o *client.Options) {
		return func(o *client.Options) {
			o.URL, o.URLFunc = "", func(_ context.Context, p *token.Payload) (string, error) { return f(p), nil }
		}
	}
	// These options cannot be part of the recording.
	options := map[string]func(*client.Options){
		"URL object":     address("ws://h/room"),
		"function":       function(func(p *token.Payload) string { return "ws://h/" + p.Channel + "/a-b" }),
		"async function": function(func(*token.Payload) string { return "ws://h/async" }),
	}
	for _, c := range readVectors(t).URL {
		t.Run(c.Name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				change := options[c.Name]
				if change == nil {
					change = address(c.URL)
				}
				if strings.HasPrefix(c.URL, "wss:") { // there is no TLS in memory
					change = address("ws" + strings.TrimPrefix(c.URL, "wss"))
				}
				d := h.subscribe(goodAnswer(t), change)
				if !c.Result.DurableIterator {
					// The original hangs forever.
					require.ErrorIs(t, d.failure(), client.ErrOptions)
					return
				}
				h.requireConnected(c.Result, "")
				d.iterator()
			})
		})
	}
}

func TestRecordedOptions(t *testing.T) {
	options := readVectors(t).Options
	t.Run("lastEventId", func(t *testing.T) {
		var want result
		require.NoError(t, json.Unmarshal(options["lastEventId"], &want))
		inBubble(t, func(t *testing.T, h *harness) {
			d := h.subscribe(goodAnswer(t), func(o *client.Options) { o.URL = "ws://h/room" }, rpc.WithLastEventID("42"))
			h.requireConnected(want, "42")
			require.Equal(t, "42", d.iterator().LastEventID())
		})
	})
	t.Run("createIdArguments", func(t *testing.T) {
		var want struct {
			Payload struct {
				Channel string   `json:"chn"`
				RPC     []string `json:"rpc"`
			}
		}
		require.NoError(t, json.Unmarshal(options["createIdArguments"], &want))
		inBubble(t, func(t *testing.T, h *harness) {
			var got *token.Payload
			d := h.subscribe(goodAnswer(t), func(o *client.Options) {
				o.CreateID = func(p *token.Payload) string { got = p; return "x" }
			})
			s := h.accept()
			s.expectSubscribe("").openPlain()
			require.Equal(t, "x", d.iterator().ID())
			require.Equal(t, want.Payload.Channel, got.Channel)
			require.Equal(t, want.Payload.RPC, got.RPC)
		})
	})
	t.Run("emptyId", func(t *testing.T) {
		// The original connects with it, and no server of this project lets it in.
		require.Contains(t, string(options["emptyId"]), "?id=&token=")
		inBubble(t, func(t *testing.T, h *harness) {
			d := h.subscribe(goodAnswer(t), func(o *client.Options) { o.CreateID = func(*token.Payload) string { return "" } })
			require.ErrorIs(t, d.failure(), client.ErrOptions)
		})
	})
	t.Run("defaultIds", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			one, s := h.live(h.options())
			two, _ := h.live(h.options())
			require.NotEqual(t, one.ID(), two.ID())
			require.GreaterOrEqual(t, len(one.ID()), 26)
			require.Equal(t, one.ID(), s.query.Get("id"))
		})
	})
}

// Names of the original's own properties can be called here, and nothing else can.
func TestRecordedProxy(t *testing.T) {
	ran := 0
	for _, c := range readVectors(t).Proxy {
		if c.Token != "rpc: [m]" && c.Token != "rpc: [m, next, return]" {
			continue // "then" is special only in JavaScript
		}
		ran++
		t.Run(c.Token+" "+c.Property+c.Name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(int) (*token.Payload, error) {
					return payload(func(p *token.Payload) {
						p.RPC = strings.Split(strings.Trim(strings.TrimPrefix(c.Token, "rpc: "), "[]"), ", ")
					}), nil
				}
				it, s := h.live(h.options())
				name := c.Property
				if name == "" {
					name = "next"
				}
				if !c.InTokenRPC && len(c.Frames) == 0 {
					_, err := it.Call(t.Context(), &rpc.Call{Path: []string{name}})
					require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
					require.True(t, s.quiet())
					return
				}
				go func() { _, _ = it.Call(t.Context(), &rpc.Call{Path: []string{name}, Input: rpc.Void{}}) }()
				f := s.next()
				var path []string
				readMember(t, f.Payload.Body, "path", &path)
				require.Equal(t, []string{name}, path)
				if len(c.Frames) == 1 {
					// The original sends no input, which a server of oRPC refuses.
					require.JSONEq(t, strings.Replace(c.Frames[0], `"next"]}`, `"next"],"input":null},"meta":[[3,"input"]]`, 1), f.text)
				}
			})
		})
	}
	require.Equal(t, 18, ran)
}
