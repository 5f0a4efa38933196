package natslog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// requestTimeout is how long to wait for a response of the server.
const requestTimeout = 3 * time.Second

// streamState is the state of the stream as its leader reports it.
type streamState struct {
	epoch  string
	last   uint64 // Seq of the newest message, also if it was dropped; 0 if there never was one
	floor  uint64 // Seq of the newest message that was dropped, 0 if none was
	config jetstream.StreamConfig
}

// epochOf returns the epoch of a stream. It differs for each stream with the same name, and
// after each loss of records that was noticed.
func epochOf(config *jetstream.StreamConfig, created time.Time) string {
	sum := sha256.Sum256([]byte(config.Name + "\x00" + created.UTC().Format(time.RFC3339Nano) + "\x00" + config.Metadata[epochKey]))
	return new(big.Int).SetBytes(sum[:8]).Text(36)
}

// apiError is an error response of the server.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// Codes of the server.
const (
	errNoMessage     = 10037
	errInProcess     = 10158 // a message with the same id is being stored
	errMessageTooBig = 10054
	errStoreFailed   = 10077
)

// findOrCreate returns the stream that config names, and creates it if it does not exist. An
// existing stream needs no permission to create one, and may have other settings.
func (l *Log) findOrCreate(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	before := l.nc.LastError()
	stream, err := l.js.Stream(ctx, config.Name)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return stream, cmp.Or(l.refusal(before, l.api+"STREAM.INFO."+config.Name), err)
	}
	stream, err = l.js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // created by another node just now
		return l.js.Stream(ctx, config.Name)
	}
	return stream, cmp.Or(l.refusal(before, l.api+"STREAM.CREATE."+config.Name), err)
}

// request sends a request to the leader of a stream and decodes the response into v.
func (l *Log) request(ctx context.Context, call, stream string, body []byte, v any) error {
	if err := l.connected(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	subject, before := l.api+call+"."+stream, l.nc.LastError()
	m, err := l.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return unavailable(cmp.Or(l.refusal(before, subject), err))
	}
	var answer struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return unavailable(err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	return json.Unmarshal(m.Data, v)
}

// connected returns an error if there has been no connection for too long to wait for one.
func (l *Log) connected() error {
	l.mu.Lock()
	since := time.Since(l.heard)
	l.mu.Unlock()
	if since > l.options.tooLong && !l.nc.IsConnected() {
		return unavailable(nats.ErrDisconnected)
	}
	return nil
}

// unavailable wraps an error of the connection or the server in [eventlog.ErrUnavailable].
func unavailable(err error) error {
	if err == nil || errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
}

// uncertain wraps the error of an append whose record may be stored. The result does not
// wrap ErrUnavailable, after which a caller would append the record again.
func uncertain(err error) error {
	return fmt.Errorf("%w: %s", eventlog.ErrUncertain, err.Error())
}

// readState requests the state from the leader.
func (l *Log) readState(ctx context.Context) (streamState, error) {
	var info struct {
		Config  jetstream.StreamConfig `json:"config"`
		Created time.Time              `json:"created"`
		State   struct {
			First uint64 `json:"first_seq"`
			Last  uint64 `json:"last_seq"`
			Msgs  uint64 `json:"messages"`
		} `json:"state"`
	}
	if err := l.request(ctx, "STREAM.INFO", l.options.Stream, nil, &info); err != nil {
		return streamState{}, unavailable(err)
	}
	s := streamState{epoch: epochOf(&info.Config, info.Created), config: info.Config}
	if begin := max(info.Config.FirstSeq, 1); info.State.Last >= begin {
		s.last = info.State.Last
		switch {
		case info.State.Msgs == 0:
			s.floor = s.last
		case info.State.First > begin:
			s.floor = info.State.First - 1
		}
	}
	return s, nil
}

// leaderMessage returns the message with a Seq, or the newest message of a subject, from the
// leader. ok is false if there is none.
func (l *Log) leaderMessage(ctx context.Context, seq uint64, subject string) (m message, ok bool, err error) {
	return l.leaderMessageOf(ctx, l.options.Stream, seq, subject)
}

// leaderMessageOf is like leaderMessage, for any stream.
func (l *Log) leaderMessageOf(ctx context.Context, stream string, seq uint64, subject string) (m message, ok bool, err error) {
	select {
	case l.reads <- struct{}{}:
		defer func() { <-l.reads }()
	case <-ctx.Done():
		return message{}, false, ctx.Err()
	}
	body, err := json.Marshal(struct {
		Seq  uint64 `json:"seq,omitempty"`
		Last string `json:"last_by_subj,omitempty"`
	}{seq, subject})
	if err != nil {
		return message{}, false, err
	}
	var answer struct {
		Message struct {
			Seq     uint64 `json:"seq"`
			Headers []byte `json:"hdrs"`
		} `json:"message"`
	}
	err = l.request(ctx, "STREAM.MSG.GET", stream, body, &answer)
	var refused *apiError
	switch {
	case errors.As(err, &refused) && refused.ErrCode == errNoMessage:
		return message{}, false, nil
	case err != nil:
		return message{}, false, unavailable(err)
	}
	m.seq = answer.Message.Seq
	if header, err := nats.DecodeHeadersMsg(answer.Message.Headers); err == nil {
		m.id = idOf(header)
	}
	return m, true, nil
}

// state returns the state of the stream from its leader, and notices if the stream was
// replaced or has lost records.
func (l *Log) state(ctx context.Context) (streamState, error) {
	l.mu.Lock()
	newest := l.anchor.seq
	l.mu.Unlock()
	s, err := l.states.after(ctx)
	if err != nil {
		return s, err
	}
	l.mu.Lock()
	changed := s.epoch != l.stream.epoch
	l.mu.Unlock()
	switch {
	case changed:
		l.reset(s)
	case s.last < newest:
		return l.renew(ctx, s)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewing {
		return s, fmt.Errorf("%w: the stream has lost records", eventlog.ErrUnavailable)
	}
	return s, nil
}

// check checks with the leader that the stream was not replaced and has all messages that
// were stored.
func (l *Log) check(ctx context.Context) error {
	l.mu.Lock()
	a, epoch := l.anchor, l.stream.epoch
	l.mu.Unlock()
	s, err := l.state(ctx)
	if err == nil && s.epoch != epoch {
		a = anchor{} // it is of another stream
	}
	if err == nil && a.seq > s.floor {
		err = l.confirm(ctx, s.epoch, a)
	}
	if err == nil && s.last > max(a.seq, s.floor) {
		// Clients may have positions up to the end, so the last message must not disappear.
		var m message
		if m, _, err = l.leaderMessage(ctx, s.last, ""); err == nil {
			l.saw(s.epoch, m.seq, m.id)
		}
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewing || s.epoch != l.stream.epoch {
		return fmt.Errorf("%w: the stream was just replaced", eventlog.ErrUnavailable)
	}
	l.heard, l.verified, l.stream = time.Now(), true, s
	return nil
}

func (l *Log) epoch() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stream.epoch
}

// confirm checks that the stream of an epoch still has a message, unless it has expired.
// If not, the stream begins a new epoch.
func (l *Log) confirm(ctx context.Context, epoch string, a anchor) error {
	m, ok, err := l.leaderMessage(ctx, a.seq, "")
	if err != nil || ok && (m.id == a.id || a.id == "") {
		return err
	}
	s, err := l.state(ctx)
	if err != nil || s.epoch != epoch || !ok && a.seq <= s.floor {
		return err
	}
	_, err = l.renew(ctx, s)
	return err
}

// renew begins a new epoch of a stream that has lost records, because it may use their Seqs
// again. All nodes read the epoch from the stream's metadata.
func (l *Log) renew(ctx context.Context, s streamState) (streamState, error) {
	l.mu.Lock()
	if s.epoch != l.stream.epoch {
		l.mu.Unlock()
		return s, nil // another node has done it
	}
	l.renewing = true
	l.mu.Unlock()
	l.options.Logger.ErrorContext(ctx, "event log: the stream has lost records", "stream", l.options.Stream, "last", s.last)
	config := s.config
	config.Metadata = maps.Clone(s.config.Metadata)
	if config.Metadata == nil {
		config.Metadata = map[string]string{}
	}
	config.Metadata[epochKey] = eventlog.NewEpoch()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := l.js.UpdateStream(ctx, config); err != nil {
		return s, unavailable(err)
	}
	s, err := l.readState(ctx)
	if err == nil {
		l.reset(s)
	}
	return s, err
}

var errReplaced = errors.New("natslog: the stream was replaced, or has lost records")

// reset changes to another epoch. All feeds are lost.
func (l *Log) reset(s streamState) {
	l.mu.Lock()
	if l.stream.epoch == s.epoch {
		l.mu.Unlock()
		return
	}
	l.stream, l.anchor, l.renewing = s, anchor{}, false
	feeds := l.feeds
	l.feeds = map[string]*feed{}
	l.mu.Unlock()
	l.stats.resets.Add(1)
	l.options.Logger.Warn("event log: the stream begins a new epoch", "stream", l.options.Stream)
	for _, f := range feeds {
		f.lose(errReplaced)
	}
}

// saw records that a message was stored.
func (l *Log) saw(epoch string, seq uint64, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch == l.stream.epoch && seq > l.anchor.seq {
		l.anchor = anchor{seq, id}
	}
}

// ready returns an error if the known state of the stream may be out of date.
func (l *Log) ready(ctx context.Context) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	ok := l.verified && !l.renewing && time.Since(l.heard) < l.options.tooLong
	l.mu.Unlock()
	if ok {
		return nil
	}
	return l.check(ctx)
}
