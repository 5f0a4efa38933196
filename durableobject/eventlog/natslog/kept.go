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
	// maxKeptBytes is how large the stream of a bus may become, and with it what a node
	// has of it in memory.
	maxKeptBytes = 64 << 20
	// keptVersion begins the messages of the stream.
	keptVersion = 1
)

// keptValues are the values that a bus keeps: the newest message of each subject of a stream.
// A message has the key, for which the subject may have only a hash, and how long its value
// is kept. A value that was removed is replaced by a message without time, which the server
// drops soon after.
//
// The values are in memory as well, up to a Seq, so that only what is newer has to be read.
type keptValues struct {
	log     *Log
	stream  string
	reading chan struct{} // has an element while the fields below are used

	created time.Time // of the stream
	through uint64    // the values are those of this Seq
	values  map[string]keptValue
	changes uint64 // of the values, without those by time
}

// keptValue is a value until it expires, by the clock of the servers.
type keptValue struct {
	value   []byte
	expires time.Time
}

// openKept creates the stream, or checks the one that is there.
func (l *Log) openKept(ctx context.Context) (*keptValues, error) {
	k := &keptValues{
		log: l, stream: l.options.Stream + "_bus", reading: make(chan struct{}, 1), values: map[string]keptValue{},
	}
	stream, err := l.js.CreateStream(ctx, k.config())
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = l.js.Stream(ctx, k.stream)
	}
	if err != nil {
		return nil, err
	}
	return k, k.check(stream.CachedInfo().Config)
}

func (k *keptValues) subject(token string) string { return "dik." + k.log.options.Stream + "." + token }

// config is that of a new stream. It drops nothing to make room: a value that is gone before
// its time may be a revocation.
func (k *keptValues) config() jetstream.StreamConfig {
	o := &k.log.options
	c := jetstream.StreamConfig{
		Name:              k.stream,
		Description:       "what nodes of durable iterators keep for each other",
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

// check returns an error that wraps ErrConfig and names what of an existing stream has to
// be otherwise.
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
			// The server knows whole seconds. Readers look at the time themselves.
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

// send sends a message. It reports whether it may be sent again, under the same id.
func (k *keptValues) send(ctx context.Context, m *nats.Msg) (again bool, err error) {
	if !k.log.nc.IsConnected() {
		return true, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	reply, err := k.log.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
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

// read calls each with the values whose keys begin with prefix. broken is called for a
// message that no bus has sent.
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

// version returns a number that is another one after each change.
func (k *keptValues) version(ctx context.Context, broken func(subject string, err error)) (uint64, error) {
	if err := k.lock(ctx); err != nil {
		return 0, err
	}
	defer k.unlock()
	_, err := k.refresh(ctx, broken)
	return k.changes + 1, err
}

// lock waits for other readings to end.
func (k *keptValues) lock(ctx context.Context) error {
	select {
	case k.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keptValues) unlock() { <-k.reading }

// keptInfo is what a server reports of the stream.
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
			Active  time.Duration `json:"active"` // since the server has heard of it
		} `json:"replicas"`
	} `json:"cluster"`
}

// maxQuiet is how long the leader of a stream may not have heard of a replica, which sends a
// heartbeat each second.
const maxQuiet = 5 * time.Second

// led reports whether the stream has a leader that most of its replicas follow. A server that
// is cut off from the others answers too, also when it is the leader no more, and may not have
// what was kept since.
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

// refresh reads what was kept since the last call, and returns the time of the stream.
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
		k.created, k.through, k.values = info.Created, 0, map[string]keptValue{} // it was made anew, or restored
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
		// The last messages have expired, or this replica does not have them yet.
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

// readSome reads the next messages from a replica, and returns how many there were.
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
