package service

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/token"
)

// recording is a session of the original: the messages of client and server, in order.
type recording struct {
	RecordedAtUnix int64                 `json:"recordedAtUnix"` // the clock at the end
	Rooms          map[string]roomConfig `json:"rooms"`          // by upgrade path
	Entries        []entry               `json:"entries"`
}

type roomConfig struct {
	ResumeRetentionSeconds float64 `json:"resumeRetentionSeconds"`
}

// entry is a request or a frame. Which members it has depends on its kind.
type entry struct {
	T    int64  `json:"t"` // milliseconds since the start
	Kind string `json:"kind"`
	Conn int    `json:"conn"`

	// An exchange ("http"), or an upgrade ("ws-upgrade").
	Method           string         `json:"method"`
	Path             string         `json:"path"`
	RequestHeaders   [][2]string    `json:"requestHeaders"`
	RequestBody      string         `json:"requestBody"`
	Status           int            `json:"status"`
	ResponseHeaders  [][2]string    `json:"responseHeaders"`
	ResponseBody     string         `json:"responseBody"`
	Query            [][2]string    `json:"query"`
	TokenPayload     recordedClaims `json:"tokenPayload"`
	RefusedByHarness bool           `json:"refusedByHarness"`

	// A frame ("ws-frame").
	Dir    string `json:"dir"`
	Type   string `json:"type"`
	Text   string `json:"text"`
	Base64 string `json:"base64"`
	Code   *int   `json:"code"`
	Reason string `json:"reason"`
}

type recordedClaims struct {
	Channel string  `json:"chn"`
	Exp     float64 `json:"exp"`
}

// Names of entries.
const (
	kindHTTP    = "http"
	kindUpgrade = "ws-upgrade"
	kindFrame   = "ws-frame"
	kindDrop    = "harness-drop"
	kindEnd     = "tcp-end"
	fromClient  = "c2s"
	fromServer  = "s2c"
)

const pluginHeader = "x-orpc-durable-iterator"

// readRecordings returns the sessions in testdata by name.
func readRecordings(t *testing.T) map[string]*recording {
	t.Helper()
	files, err := filepath.Glob("testdata/sessions/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	recordings := map[string]*recording{}
	for _, file := range files {
		r := new(recording)
		readJSON(t, file, r)
		require.NotEmpty(t, r.Entries, file)
		recordings[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return recordings
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, v), file)
}

// start returns the time at which the session began, so that every token is
// issued in the same second as when it was recorded.
func (r *recording) start(t *testing.T) time.Time {
	t.Helper()
	earliest, latest := int64(0), int64(1<<62) // milliseconds
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.Kind != kindHTTP || header(e.ResponseHeaders, pluginHeader) == "" {
			continue
		}
		p, err := token.Parse(text(t, e.ResponseBody))
		require.NoError(t, err)
		issued := p.IssuedAt.UnixMilli()
		earliest, latest = max(earliest, issued-e.T), min(latest, issued+999-e.T)
	}
	if earliest == 0 { // the tokens were made before
		return time.UnixMilli(r.RecordedAtUnix*1000 - r.Entries[len(r.Entries)-1].T)
	}
	return time.UnixMilli((earliest + latest) / 2)
}

// text returns the string that an encoded value is.
func text(t *testing.T, body string) string {
	t.Helper()
	var v struct {
		JSON string `json:"json"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	return v.JSON
}

func header(list [][2]string, name string) string {
	i := slices.IndexFunc(list, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
	if i < 0 {
		return ""
	}
	return list[i][1]
}

// frame returns the frame of an entry.
func (e *entry) frame(t *testing.T) frame {
	t.Helper()
	switch e.Type {
	case "close":
		f := frame{kind: frameClose, reason: e.Reason, code: noStatus}
		if e.Code != nil {
			f.code = *e.Code
		}
		return f
	case "binary":
		data, err := base64.StdEncoding.DecodeString(e.Base64)
		require.NoError(t, err)
		return frame{kind: frameBinary, data: data}
	}
	return frame{kind: frameText, data: []byte(e.Text)}
}

// difference is a deliberate difference from the original.
type difference struct {
	Session string `json:"session"`
	// Variant is the server to which it applies; empty means all.
	Variant string `json:"variant"`
	// Entries are the numbers of the recorded entries to which it applies: one, or several
	// frames of one connection.
	Entries []int `json:"entries"`
	// Answer replaces the answer to an exchange or an upgrade.
	Answer *answer `json:"answer"`
	// Frames replace the frames: the number of an entry is its frame, an object is a frame,
	// or a close frame if it has a member "close".
	Frames *[]json.RawMessage `json:"frames"`
	// Left is a connection that receives Frames at the end, where no recorded frame
	// follows.
	Left int `json:"left"`
	// AtExpiry means that a frame is sent when the token of its connection expires.
	AtExpiry bool `json:"atExpiry"`
	// NotSent means that the client's message is not sent, since that is not possible or
	// has no meaning here.
	NotSent bool `json:"notSent"`
	// Reason is the reason for the difference.
	Reason string `json:"reason"`

	used bool
}

type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// readDifferences returns the differences of a session.
func readDifferences(t *testing.T, session, variant string) []*difference {
	t.Helper()
	var all []*difference
	readJSON(t, "testdata/differences.json", &all)
	return slices.DeleteFunc(all, func(d *difference) bool {
		return d.Session != session || d.Variant != "" && d.Variant != variant
	})
}
