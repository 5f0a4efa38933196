package natslog

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// token returns a valid subject token for a channel, whose name may be any string.
func token(channel string) string {
	const longest = 96 // the length of subjects is limited
	if len(channel) <= longest {
		return "b" + base64.RawURLEncoding.EncodeToString([]byte(channel))
	}
	sum := sha256.Sum256([]byte(channel))
	return "h" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ownIDHeader is the header with the id of an append with a key. The message id of such an
// append is made from the key.
const ownIDHeader = "Durable-Iterator-Id"

// keyID returns the message id for a channel and a key. It is longer than all ids of appends.
func keyID(channel, key string) string {
	sum := sha256.Sum256(append(appendString(nil, channel), key...))
	return "k" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// idOf returns the id of the append of a message with this header.
func idOf(h nats.Header) string {
	return cmp.Or(h.Get(ownIDHeader), h.Get(nats.MsgIdHdr))
}

// A record is stored as a byte of flags, the parts that are flagged, each list with its
// length before it and each string with its own, and the data.
const (
	hasTags = 1 << iota
	hasTargets
	hasExcludes
	hasMeta
	hasData
	allFlags = 1<<iota - 1
)

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// encode returns the body of a message.
func encode(r *eventlog.Record) []byte {
	b := make([]byte, 1, 64+len(r.Data)+len(r.Meta))
	if r.Tags != nil {
		b[0] |= hasTags
		b = binary.AppendUvarint(b, uint64(len(r.Tags)))
		for _, tag := range r.Tags {
			b = appendString(b, tag)
		}
	}
	for i, list := range [2][]eventlog.Recipient{r.Targets, r.Excludes} {
		if list == nil {
			continue
		}
		b[0] |= hasTargets << i
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, to := range list {
			b = appendString(appendString(b, to.Subject), to.ID)
		}
	}
	if r.Meta != nil {
		b[0] |= hasMeta
		b = appendString(b, r.Meta)
	}
	if r.Data != nil {
		b[0] |= hasData
	}
	return append(b, r.Data...)
}

// errBroken means that a message is not a valid record.
var errBroken = errors.New("malformed message")

// decoder reads values from the front of b. After an error it returns zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) recipients() []eventlog.Recipient {
	n := d.uvarint()
	list := make([]eventlog.Recipient, 0, min(n, len(d.b)/2))
	for range n {
		if d.bad {
			break
		}
		list = append(list, eventlog.Recipient{Subject: string(d.bytes()), ID: string(d.bytes())})
	}
	return list
}

// decode sets the fields of a record that its publisher has set. They refer to b.
func decode(b []byte, r *eventlog.Record) error {
	if len(b) == 0 || b[0] > allFlags {
		return errBroken
	}
	flags := b[0]
	d := decoder{b: b[1:]}
	if flags&hasTags != 0 {
		n := d.uvarint()
		r.Tags = make([]string, 0, min(n, len(d.b)))
		for range n {
			if d.bad {
				break
			}
			r.Tags = append(r.Tags, string(d.bytes()))
		}
	}
	if flags&hasTargets != 0 {
		r.Targets = d.recipients()
	}
	if flags&hasExcludes != 0 {
		r.Excludes = d.recipients()
	}
	if flags&hasMeta != 0 {
		r.Meta = d.bytes()
	}
	if flags&hasData != 0 {
		r.Data = d.b
	} else if len(d.b) > 0 {
		d.bad = true
	}
	if d.bad {
		return errBroken
	}
	return nil
}

// message is a message of the stream: republished or read.
type message struct {
	seq uint64
	// prev is the Seq of the previous message of the same subject, or 0 if there is none.
	// It is set if the message was republished.
	prev    uint64
	pending uint64 // number of messages after it; set if the message was read
	time    time.Time
	id      string // of the append; unique
	subject string // under which it is stored
	data    []byte
}

// parseMessage reads the headers that the server has added to a message. It returns false
// if one is missing, since other clients may publish messages too.
func parseMessage(stream string, m *nats.Msg) (message, bool) {
	first := func(key string) string {
		if list := m.Header[key]; len(list) > 0 {
			return list[len(list)-1] // the server's own comes last
		}
		return ""
	}
	seq, err := strconv.ParseUint(first("Nats-Sequence"), 10, 64)
	if err != nil || seq == 0 || first("Nats-Stream") != stream {
		return message{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, first("Nats-Time-Stamp"))
	if err != nil {
		return message{}, false
	}
	msg := message{seq: seq, time: t.UTC(), id: first(nats.MsgIdHdr), subject: first("Nats-Subject"), data: m.Data}
	if own := first(ownIDHeader); own != "" {
		msg.id = own
	}
	if msg.prev, err = parseNumber(first("Nats-Last-Sequence")); err != nil || msg.prev >= seq {
		return message{}, false
	}
	msg.pending, err = parseNumber(first("Nats-Num-Pending"))
	return msg, err == nil
}

// parseNumber parses a number, and returns 0 for the empty string.
func parseNumber(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// record returns the record of a message.
func (m *message) record(epoch string, prev uint64) (*eventlog.Record, error) {
	r := &eventlog.Record{Seq: m.seq, Prev: prev, Epoch: epoch, Time: m.time}
	if m.id == "" {
		return nil, errBroken
	}
	return r, decode(m.data, r)
}
