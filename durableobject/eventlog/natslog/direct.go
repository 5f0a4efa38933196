package natslog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	// readBatch is how many messages are read at a time, readBytes how large they may be
	// together, unless one is larger.
	readBatch = 256
	readBytes = 1 << 20
	// Any replica may answer a read, also one that is just going down and does not. If
	// the next one does not either, the servers may be busy: it has twice the time.
	readTries   = 3
	readTimeout = 2 * time.Second // without a message
	// maxReads is how many reads run at a time: others wait, so that many resumes at once
	// neither fill the memory nor time out.
	maxReads = 32
)

// directRequest asks any replica of a stream for messages: that of the log, unless it is named.
type directRequest struct {
	stream string

	Seq       uint64   `json:"seq,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	Next      string   `json:"next_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpTo      uint64   `json:"up_to_seq,omitempty"`
}

// messagesFrom reads messages of a subject from a Seq on. The replica that answers may be
// behind.
func (l *Log) messagesFrom(ctx context.Context, subject string, seq uint64) (list []message, err error) {
	return l.messagesUpTo(ctx, subject, seq, readBatch)
}

// messagesUpTo reads n messages at most, otherwise as messagesFrom.
func (l *Log) messagesUpTo(ctx context.Context, subject string, seq uint64, n int) (list []message, err error) {
	r := directRequest{Seq: max(seq, 1), Batch: n, MaxBytes: readBytes, Next: subject}
	_, err = l.read(ctx, r, func() { list = nil }, func(m message) { list = append(list, m) })
	return list, err
}

// lastMessages reads the newest message of each subject up to a Seq, 0 for the end. It
// returns the Seq that the replica was at; 0 if that is not known, as it has none.
func (l *Log) lastMessages(ctx context.Context, subjects []string, upTo uint64, each func(message)) (at uint64, err error) {
	return l.read(ctx, directRequest{MultiLast: subjects, UpTo: upTo}, func() {}, each)
}

// read sends a request until it is answered. restart is called before each attempt.
func (l *Log) read(ctx context.Context, r directRequest, restart func(), each func(message)) (at uint64, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	for i := range readTries {
		restart()
		at, err = l.readOnce(ctx, cmp.Or(r.stream, l.options.Stream), body, time.Duration(min(i+1, 2))*readTimeout, each)
		if err == nil || ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
			return at, err
		}
	}
	return 0, unavailable(err)
}

func (l *Log) readOnce(
	ctx context.Context, stream string, body []byte, wait time.Duration, each func(message),
) (at uint64, err error) {
	select {
	case l.reads <- struct{}{}:
		defer func() { <-l.reads }()
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-l.ctx.Done():
		return 0, eventlog.ErrClosed
	}
	if err := l.connected(); err != nil {
		return 0, err
	}
	inbox := l.nc.NewInbox()
	answers := make(chan *nats.Msg, tailBatch+readBatch)
	sub, err := l.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return 0, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	if err := l.nc.PublishRequest(l.api+"DIRECT.GET."+stream, inbox, body); err != nil {
		return 0, unavailable(err)
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		select {
		case m := <-answers:
			switch status := m.Header.Get("Status"); status {
			case "":
				if msg, ok := parseMessage(stream, m); ok {
					each(msg)
				}
				timeout.Reset(wait)
			case "204":
				at, _ := strconv.ParseUint(m.Header.Get("Nats-UpTo-Sequence"), 10, 64) // 0 unless it is there
				return at, nil
			case "404":
				return 0, nil
			default:
				return 0, fmt.Errorf("read: %s %s", status, m.Header.Get("Description"))
			}
		case <-timeout.C:
			return 0, errors.New("read: no answer")
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.ctx.Done():
			return 0, eventlog.ErrClosed
		}
	}
}
