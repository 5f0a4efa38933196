package eventlog_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func TestAudienceIncludes(t *testing.T) {
	t.Parallel()
	ann, bob := eventlog.Recipient{Subject: "ann", ID: "1"}, eventlog.Recipient{Subject: "bob", ID: "1"}
	id := eventlog.Recipient{ID: "1"}
	type recipients = []eventlog.Recipient
	cases := map[string]struct {
		audience eventlog.Audience
		tags     []string
		client   eventlog.Recipient
		want     bool
	}{
		"everybody":                             {eventlog.Audience{}, nil, ann, true},
		"everybody, with tags":                  {eventlog.Audience{}, []string{"a"}, ann, true},
		"a tag it has":                          {eventlog.Audience{Tags: []string{"a"}}, []string{"a"}, ann, true},
		"one of the tags":                       {eventlog.Audience{Tags: []string{"a", "b"}}, []string{"c", "b"}, ann, true},
		"another tag":                           {eventlog.Audience{Tags: []string{"a"}}, []string{"b"}, ann, false},
		"a tag, without tags":                   {eventlog.Audience{Tags: []string{"a"}}, nil, ann, false},
		"a tag of another case":                 {eventlog.Audience{Tags: []string{"a"}}, []string{"A"}, ann, false},
		"the empty tag":                         {eventlog.Audience{Tags: []string{""}}, []string{""}, ann, true},
		"the empty tag, without tags":           {eventlog.Audience{Tags: []string{""}}, nil, ann, false},
		"empty tags select nobody":              {eventlog.Audience{Tags: []string{}}, []string{"a"}, ann, false},
		"empty tags select nobody without tags": {eventlog.Audience{Tags: []string{}}, nil, ann, false},
		"a target":                              {eventlog.Audience{Targets: recipients{ann}}, nil, ann, true},
		"one of the targets":                    {eventlog.Audience{Targets: recipients{bob, ann}}, nil, ann, true},
		"another target":                        {eventlog.Audience{Targets: recipients{bob}}, nil, ann, false},
		"empty targets select nobody":           {eventlog.Audience{Targets: recipients{}}, nil, ann, false},
		"the id of another subject":             {eventlog.Audience{Targets: recipients{ann}}, nil, bob, false},
		"an id alone, of a subject":             {eventlog.Audience{Targets: recipients{id}}, nil, ann, false},
		"an id alone":                           {eventlog.Audience{Targets: recipients{id}}, nil, id, true},
		"excluded":                              {eventlog.Audience{Excludes: recipients{ann}}, nil, ann, false},
		"another excluded":                      {eventlog.Audience{Excludes: recipients{bob}}, nil, ann, true},
		"nobody excluded":                       {eventlog.Audience{Excludes: recipients{}}, nil, ann, true},
		"exclude wins over targets":             {eventlog.Audience{Targets: recipients{ann}, Excludes: recipients{ann}}, nil, ann, false},
		"exclude wins over tags":                {eventlog.Audience{Tags: []string{"a"}, Excludes: recipients{ann}}, []string{"a"}, ann, false},
		"tags and targets":                      {eventlog.Audience{Tags: []string{"a"}, Targets: recipients{ann}}, []string{"a"}, ann, true},
		"targets without the tag":               {eventlog.Audience{Tags: []string{"a"}, Targets: recipients{ann}}, []string{"b"}, ann, false},
		"the tag without being a target":        {eventlog.Audience{Tags: []string{"a"}, Targets: recipients{bob}}, []string{"a"}, ann, false},
		"no tags, though it is a target":        {eventlog.Audience{Tags: []string{}, Targets: recipients{ann}}, []string{"a"}, ann, false},
		"no targets, though it has a tag":       {eventlog.Audience{Tags: []string{"a"}, Targets: recipients{}}, []string{"a"}, ann, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.audience.Includes(c.tags, c.client))
		})
	}
}

// widerThanOriginal are the events of the recording that reach more clients here. If
// targets are a list of sockets, the original sends an event to one socket of each id, but
// to all of them at replay. Here both depend on the id only.
var widerThanOriginal = map[string]bool{"targets b as a list of sockets": true}

// TestAudienceAsRecorded compares the recipients of events in a recorded session of the
// original with the rows that it stored.
func TestAudienceAsRecorded(t *testing.T) {
	t.Parallel()
	s := readSession(t, "testdata/session-storage-rows.json")
	require.Len(t, s.clients, 3)
	require.Len(t, s.rows, 7)
	for id, row := range s.rows {
		t.Run(row.message, func(t *testing.T) {
			t.Parallel()
			for conn, client := range s.clients {
				want := s.received[conn][id] || (widerThanOriginal[row.message] && client.recipient.ID == "b")
				require.Equal(t, want, row.audience.Includes(client.tags, client.recipient), "client %d", conn)
			}
		})
	}
}

type session struct {
	clients  map[int]sessionClient
	rows     map[string]sessionRow   // by event id
	received map[int]map[string]bool // by connection and event id
}

type sessionClient struct {
	recipient eventlog.Recipient
	tags      []string
}

type sessionRow struct {
	message  string
	audience eventlog.Audience
}

func readSession(t *testing.T, file string) session {
	t.Helper()
	var recording struct {
		Entries []struct {
			Kind, Dir, Text, Note string
			Conn                  int
			Query                 [][2]string
			TokenPayload          struct{ Tags []string }
			Data                  json.RawMessage
		}
	}
	unmarshal(t, readFile(t, file), &recording)
	s := session{clients: map[int]sessionClient{}, rows: map[string]sessionRow{}, received: map[int]map[string]bool{}}
	for _, e := range recording.Entries {
		switch {
		case e.Kind == "ws-upgrade":
			require.Equal(t, "id", e.Query[0][0])
			s.clients[e.Conn] = sessionClient{eventlog.Recipient{ID: e.Query[0][1]}, e.TokenPayload.Tags}
			s.received[e.Conn] = map[string]bool{}
		case e.Kind == "ws-frame" && e.Dir == "s2c":
			var frame struct {
				P struct{ M struct{ ID string } }
			}
			unmarshal(t, []byte(e.Text), &frame)
			s.received[e.Conn][frame.P.M.ID] = true
		case e.Note == "rows":
			s.readRows(t, e.Data)
		}
	}
	return s
}

func (s session) readRows(t *testing.T, data []byte) {
	t.Helper()
	var rows []struct {
		ID, Payload  string
		Tags         *string
		TargetIDs    *string `json:"target_ids"`
		ExclusionIDs *string `json:"exclusion_ids"`
	}
	unmarshal(t, data, &rows)
	for _, r := range rows {
		var payload struct {
			JSON struct{ Payload struct{ Message string } }
		}
		unmarshal(t, []byte(r.Payload), &payload)
		s.rows[r.ID] = sessionRow{payload.JSON.Payload.Message, eventlog.Audience{
			Tags:     list(t, r.Tags),
			Targets:  byID(list(t, r.TargetIDs)),
			Excludes: byID(list(t, r.ExclusionIDs)),
		}}
	}
}

// list reads a column with a JSON list or null.
func list(t *testing.T, column *string) (items []string) {
	t.Helper()
	if column != nil {
		unmarshal(t, []byte(*column), &items)
	}
	return items
}

func byID(ids []string) []eventlog.Recipient {
	if ids == nil {
		return nil
	}
	recipients := make([]eventlog.Recipient, 0, len(ids))
	for _, id := range ids {
		recipients = append(recipients, eventlog.Recipient{ID: id})
	}
	return recipients
}

func unmarshal(t *testing.T, data []byte, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(data, v))
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return data
}
