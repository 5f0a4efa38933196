package natslog

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// maxKeptBytes is the maximum size of the stream of a bus, and so of its values in the
	// memory of a node.
	maxKeptBytes = 64 << 20
	// keptVersion is the first byte of the messages of the stream.
	keptVersion = 1
)

// keptValues are the values that a bus keeps: the newest message of each subject of a stream.
// A message has the key, of which the subject may have only a hash, and how long its value
// is kept. When a value is removed, a message without a time replaces it, which the server
// drops soon after.
//
// The values up to a Seq are also in memory, so that only newer ones have to be read.
type keptValues struct {
	log     *Log
	stream  string
	reading chan struct{} // a lock for the fields below: full while it is held

	created time.Time // of the stream
	through uint64    // Seq up to which messages were read
	values  map[string]keptValue
	changes uint64 // number of changes of the values, except by expiry
}

// keptValue is a value and when it expires, by the clock of the servers.
type keptValue struct {
	value   []byte
	expires time.Time
}

// openKept creates the stream, or checks the existing one.
func (l *Log) openKept(ctx context.Context) (*keptValues, error) {
	k := &keptValues{
		log: l, stream: l.options.Stream + "_bus", reading: make(chan struct{}, 1), values: map[string]keptValue{},
	}
	stream, err := l.findOrCreate(ctx, k.config())
	if err != nil {
		return nil, err
	}
	return k, k.check(stream.CachedInfo().Config)
}

func (k *keptValues) subject(token string) string { return "dik." + k.log.options.Stream + "." + token }

// config returns the configuration of a new stream. When it is full, it refuses new values
// rather than drop others before they expire, since those may be revocations.
func (k *keptValues) config() jetstream.StreamConfig {
	o := &k.log.options
	c := jetstream.StreamConfig{
		Name:              k.stream,
		Description:       "values that nodes of durable iterators share",
		Subjects:          []string{k.subject(">")},
		MaxMsgsPerSubject: 1,
		MaxBytes:          o.busBytes,
		Discard:           jetstream.DiscardNew,
		Replicas:          o.Replicas,
		Placement:         o.Placement,
		DenyDelete:        true,
		DenyPurge:         true,
		AllowDirect:       true,
		AllowMsgTTL:       true,
	}
	if o.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// check returns an error that wraps ErrConfig and lists the settings of an existing stream
// that must be changed.
func (k *keptValues) check(c jetstream.StreamConfig) error {
	want := k.config()
	var d differences
	d.compare("Subjects", fmt.Sprint(c.Subjects), fmt.Sprint(want.Subjects))
	d.compare("Retention", c.Retention, jetstream.LimitsPolicy)
	d.compare("MaxAge", c.MaxAge, time.Duration(0))
	d.compare("MaxMsgs", max(c.MaxMsgs, 0), int64(0))
	d.compare("MaxBytes", c.MaxBytes, want.MaxBytes)
	d.compare("MaxMsgsPerSubject", c.MaxMsgsPerSubject, int64(1))
	d.compare("Replicas", c.Replicas, want.Replicas)
	d.compare("Storage", c.Storage, want.Storage)
	d.compare("Discard", c.Discard, want.Discard)
	d.compare("DiscardNewPerSubject", c.DiscardNewPerSubject, false)
	d.compare("AllowDirect", c.AllowDirect, true)
	d.compare("AllowMsgTTL", c.AllowMsgTTL, true)
	d.compare("SubjectDeleteMarkerTTL", c.SubjectDeleteMarkerTTL, time.Duration(0))
	d.compare("AllowRollup", c.AllowRollup, false)
	d.compare("NoAck", c.NoAck, false)
	d.compare("Sealed", c.Sealed, false)
	d.compare("Mirror", c.Mirror == nil, true)
	d.compare("Sources", len(c.Sources), 0)
	d.compare("SubjectTransform", c.SubjectTransform == nil, true)
	return errors.Join(d...)
}

// keep stores a value until it is acknowledged.
func (k *keptValues) keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		ttl, value = 0, nil
	}
	l := k.log
	l.mu.Lock()
	l.nextID++
	id := l.node + strconv.FormatUint(l.nextID, 36)
	l.mu.Unlock()
	body := binary.AppendUvarint([]byte{keptVersion}, uint64(ttl))
	m := &nats.Msg{
		Subject: k.subject(token(key)), Data: append(appendString(body, key), value...),
		Header: nats.Header{
			nats.MsgIdHdr: {id}, nats.ExpectedStreamHdr: {k.stream},
			// The server expires by whole seconds. Readers check the exact time themselves.
			jetstream.MsgTTLHeader: {strconv.FormatInt(int64(ttl/time.Second)+2, 10)},
		},
	}
	if int64(len(m.Data)+headerBytes) > l.nc.MaxPayload() {
		return eventlog.ErrTooLarge
	}
	ctx, cancel := context.WithTimeout(ctx, l.options.tooLong)
	defer cancel()
	for {
		again, err := k.send(ctx, m)
		if err == nil || !again {
			return err
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return unavailable(err)
		}
	}
}

// send sends a message. again reports whether it may be sent again, under the same id.
func (k *keptValues) send(ctx context.Context, m *nats.Msg) (again bool, err error) {
	if !k.log.nc.IsConnected() {
		return true, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	before := k.log.nc.LastError()
	reply, err := k.log.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		if refusal := k.log.refusal(before, m.Subject); refusal != nil {
			return false, unavailable(refusal)
		}
		return !errors.Is(err, nats.ErrConnectionClosed), unavailable(err)
	}
	var a ack
	switch err := json.Unmarshal(reply.Data, &a); {
	case err != nil:
		return true, unavailable(err)
	case a.Error == nil && a.Stream == k.stream && a.Seq > 0:
		return false, nil
	case a.Error == nil:
		return true, errors.New("no acknowledgement")
	case a.Error.ErrCode == errStoreFailed && strings.Contains(a.Error.Description, "maximum bytes"):
		return false, eventlog.ErrBusFull
	case a.Error.Code == 503 || a.Error.ErrCode == errInProcess:
		return true, a.Error
	}
	return false, a.Error
}

// read calls each with the values whose keys begin with prefix. broken is called for
// malformed messages.
func (k *keptValues) read(
	ctx context.Context, prefix string, each func(key string, value []byte), broken func(subject string, err error),
) error {
	if err := k.lock(ctx); err != nil {
		return err
	}
	defer k.unlock()
	now, err := k.refresh(ctx, broken)
	if err != nil {
		return err
	}
	for key, v := range k.values {
		switch {
		case !now.Before(v.expires):
			delete(k.values, key)
		case strings.HasPrefix(key, prefix):
			each(key, v.value)
		}
	}
	return nil
}

// version returns a number that differs after each change.
func (k *keptValues) version(ctx context.Context, broken func(subject string, err error)) (uint64, error) {
	if err := k.lock(ctx); err != nil {
		return 0, err
	}
	defer k.unlock()
	_, err := k.refresh(ctx, broken)
	return k.changes + 1, err
}

// lock waits until no other call reads the stream.
func (k *keptValues) lock(ctx context.Context) error {
	select {
	case k.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keptValues) unlock() { <-k.reading }

// keptInfo is the part that is used here of what a server reports about the stream.
type keptInfo struct {
	Created time.Time `json:"created"`
	Now     time.Time `json:"ts"`
	State   struct {
		Last uint64 `json:"last_seq"`
	} `json:"state"`
	Cluster struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Offline bool          `json:"offline"`
			Active  time.Duration `json:"active"` // time since the leader last heard from it
		} `json:"replicas"`
	} `json:"cluster"`
}

// maxQuiet is how long a replica may be silent before it counts as unreachable. Replicas send
// the leader a heartbeat each second.
const maxQuiet = 5 * time.Second

// led reports whether the stream has a leader that a majority of its replicas follow. A
// server that is cut off from the others responds as well, even if it is no longer the
// leader, but may lack newer values.
func (i *keptInfo) led(replicas int) bool {
	if replicas == 1 {
		return true
	}
	there := 1 // the leader
	for _, r := range i.Cluster.Replicas {
		if !r.Offline && r.Active < maxQuiet {
			there++
		}
	}
	return i.Cluster.Leader != "" && there > replicas/2
}

// refresh reads the messages since the last call, and returns the time of the servers.
func (k *keptValues) refresh(ctx context.Context, broken func(string, error)) (now time.Time, err error) {
	if !k.log.nc.IsConnected() {
		return now, unavailable(nats.ErrDisconnected)
	}
	var info keptInfo
	if err := k.log.request(ctx, "STREAM.INFO", k.stream, nil, &info); err != nil {
		return now, unavailable(err)
	}
	if !info.led(k.log.options.Replicas) {
		return now, fmt.Errorf("%w: the leader of %s is cut off", eventlog.ErrUnavailable, k.stream)
	}
	if !info.Created.Equal(k.created) || info.State.Last < k.through {
		k.created, k.through, k.values = info.Created, 0, map[string]keptValue{} // it was created again, or restored
		k.changes++
	}
	last := info.State.Last
	for stale := 0; k.through < last; {
		n, err := k.readSome(ctx, broken)
		if err != nil {
			return now, err
		}
		if n > 0 || k.through >= last {
			continue
		}
		// The last messages have expired, or the replica does not have them yet.
		newest, found, err := k.log.leaderMessageOf(ctx, k.stream, 0, k.subject(">"))
		switch {
		case err != nil:
			return now, err
		case !found || newest.seq <= k.through:
			k.through = last
		case stale == staleTries:
			return now, fmt.Errorf("%w: replicas are behind", eventlog.ErrUnavailable)
		default:
			stale++
			if err := k.log.pause(ctx); err != nil {
				return now, err
			}
		}
	}
	return info.Now, nil
}

// readSome reads the next messages from a replica, and returns their number.
func (k *keptValues) readSome(ctx context.Context, broken func(string, error)) (n int, err error) {
	var list []message
	r := directRequest{stream: k.stream, Seq: k.through + 1, Batch: readBatch, MaxBytes: readBytes, Next: k.subject(">")}
	if _, err = k.log.read(ctx, r, func() { list = nil }, func(m message) { list = append(list, m) }); err != nil {
		return 0, err
	}
	for i := range list {
		m := &list[i]
		if m.seq <= k.through {
			continue
		}
		k.through = m.seq
		k.changes++
		key, v, err := k.decode(m)
		switch {
		case err != nil:
			broken(m.subject, err)
		case v.expires.After(m.time):
			k.values[key] = v
		default:
			delete(k.values, key)
		}
	}
	return len(list), nil
}

// decode returns the value of a message.
func (k *keptValues) decode(m *message) (key string, v keptValue, err error) {
	if len(m.data) == 0 || m.data[0] != keptVersion {
		return "", v, errBroken
	}
	ttl, size := binary.Uvarint(m.data[1:])
	if size <= 0 || ttl > uint64(1<<63-1) {
		return "", v, errBroken
	}
	d := decoder{b: m.data[1+size:]}
	key = string(d.bytes())
	v = keptValue{d.b, m.time.Add(time.Duration(ttl))}
	if d.bad || m.subject != k.subject(token(key)) {
		return "", v, errBroken
	}
	return key, v, cmp.Or(eventlog.CheckBusName(key), eventlog.CheckBusData(v.value))
}
