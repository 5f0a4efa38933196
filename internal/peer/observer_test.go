package peer

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientObserver(t *testing.T) {
	observe := func(seen *[]string) Observer {
		return Observer{
			Response: func(r *Response) { *seen = append(*seen, "response "+string(r.ID)) },
			Event:    func(e *Event) { *seen = append(*seen, string(e.Kind)+" "+string(e.Data)) },
			Failed:   func(err error) { *seen = append(*seen, "failed: "+err.Error()) },
		}
	}
	open := func(t *testing.T, rig *clientRig, o Observer) (stop func()) {
		t.Helper()
		r := &Request{URL: mustURL(t, "/call")}
		go func() { _, stop, _ = rig.DoFunc(t.Context(), r, o) }()
		require.Equal(t, []string{request1}, rig.take())
		return func() { stop() }
	}
	bubble(t, "the response is passed before the first event, without waiting for the caller", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var seen []string
		stop := open(t, rig, observe(&seen))
		require.NoError(t, rig.Receive(textFrame(stream1)))
		require.NoError(t, rig.Receive(textFrame(`{"i":"1","t":3,"p":{"e":"message","d":1}}`)))
		require.Equal(t, []string{`response "1"`, "message 1"}, seen)
		rig.receive(t, `{"i":"1","t":3,"p":{"e":"done"}}`, `{"i":"1","t":3,"p":{"e":"message","d":2}}`)
		require.Equal(t, []string{`response "1"`, "message 1", "done "}, seen)
		stop()
		require.Empty(t, rig.take(), "the stream had ended")
	})
	bubble(t, "stop sends an abort and ends the events", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var seen []string
		stop := open(t, rig, observe(&seen))
		rig.receive(t, stream1)
		stop()
		stop()
		rig.receive(t, `{"i":"1","t":3,"p":{"e":"message","d":1}}`)
		require.Equal(t, []string{`response "1"`}, seen)
		require.Equal(t, []string{abort1}, rig.take())
	})
	bubble(t, "a plain response ends it", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var seen []string
		stop := open(t, rig, observe(&seen))
		rig.receive(t, answer1, `{"i":"1","t":3,"p":{"e":"message","d":1}}`)
		stop()
		require.Equal(t, []string{`response "1"`}, seen)
		require.Empty(t, rig.take())
	})
	bubble(t, "closing and unreadable events are reported", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var seen []string
		open(t, rig, observe(&seen))
		rig.receive(t, stream1)
		require.Error(t, rig.Receive(textFrame(`{"i":"1","t":3}`)))
		rig.Close(nil)
		require.Equal(t, []string{`response "1"`, "failed: decode: payload is not an object"}, seen)
		require.Equal(t, []string{abort1}, rig.take())
	})
	bubble(t, "an event that cannot be read does not end a stream with Unreadable", func(t *testing.T) {
		rig := newClientRig(t, nil)
		var seen []string
		o := observe(&seen)
		o.Unreadable = func(bad *DecodeError) { seen = append(seen, "unreadable "+bad.EventID) }
		open(t, rig, o)
		unreadable := textFrame(`{"i":"1","t":3,"p":{"e":1,"m":{"id":"7"}}}`)
		require.Error(t, rig.Receive(unreadable), "there is no stream yet")
		rig.receive(t, stream1)
		require.Error(t, rig.Receive(unreadable))
		rig.RefuseAll(errors.New("what was it?"))
		rig.receive(t, `{"i":"1","t":3,"p":{"e":"done"}}`)
		require.Error(t, rig.Receive(unreadable), "the stream has ended")
		rig.RefuseAll(errors.New("what was it?"))
		require.Equal(t, []string{`response "1"`, "unreadable 7", "unreadable ", "done "}, seen)
		require.Empty(t, rig.take())
	})
	bubble(t, "nil functions are not called", func(t *testing.T) {
		rig := newClientRig(t, nil)
		open(t, rig, Observer{})
		rig.receive(t, stream1, `{"i":"1","t":3,"p":{"e":"message","d":1}}`)
		rig.Close(nil)
	})
}
