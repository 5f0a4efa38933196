package natslog

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// refusal returns the permissions violation of a message that was sent to subject, or nil if
// there was none. before is what l.nc.LastError returned before the message was sent. The
// server reports a violation as an error of the connection, and does not answer the message:
// its sender sees only that time runs out.
func (l *Log) refusal(before error, subject string) error {
	err := l.nc.LastError()
	if err == nil || errors.Is(before, err) || !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	// nats.go changes the case of the server's text.
	if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(strconv.Quote(subject))) {
		return nil
	}
	return err
}
