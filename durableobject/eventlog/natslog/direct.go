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
	// readBatch is the maximum number of messages of a read, and readBytes their maximum
	// total size, unless a single one is larger.
	readBatch = 256
	readBytes = 1 << 20
	// A read may be sent to a replica that is shutting down and never responds, so it is
	// tried again. Since the servers may just be busy, later tries have twice the time.
	readTries   = 3
	readTimeout = 2 * time.Second // without a message
	// maxReads is how many reads run at a time. Others wait, so that many resumes at once
	// neither use too much memory nor time out.
	maxReads = 32
)

// directRequest is a request for messages, which any replica may answer. Without the name of
// a stream it is for that of the log.
type directRequest struct {
	stream string

	Seq       uint64   `json:"seq,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	Next      string   `json:"next_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpTo      uint64   `json:"up_to_seq,omitempty"`
}

// messagesFrom reads messages of a subject from a Seq on. The replica that responds may lag
// behind the leader.
func (l *Log) messagesFrom(ctx context.Context, subject string, seq uint64) (list []message, err error) {
	return l.messagesUpTo(ctx, subject, seq, readBatch)
}

// messagesUpTo is like messagesFrom, but reads at most n messages.
func (l *Log) messagesUpTo(ctx context.Context, subject string, seq uint64, n int) (list []message, err error) {
	r := directRequest{Seq: max(seq, 1), Batch: n, MaxBytes: readBytes, Next: subject}
	_, err = l.read(ctx, r, func() { list = nil }, func(m message) { list = append(list, m) })
	return list, err
}

// lastMessages reads the newest message of each subject up to the Seq upTo; 0 means the end.
// It returns the last Seq of the replica, or 0 if it is not known because there are no
// messages.
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
	subject, before := l.api+"DIRECT.GET."+stream, l.nc.LastError()
	if err := l.nc.PublishRequest(subject, inbox, body); err != nil {
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
			return 0, cmp.Or(l.refusal(before, subject), errors.New("read: no answer"))
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.ctx.Done():
			return 0, eventlog.ErrClosed
		}
	}
}
