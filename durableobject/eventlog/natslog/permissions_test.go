package natslog

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// startServerWithUsers starts a server on which the user "all" may do everything, and each
// other user everything but publish to its subjects.
func startServerWithUsers(t *testing.T, denied map[string][]string) *server.Server {
	t.Helper()
	users := []*server.User{{Username: "all", Password: "secret"}}
	for name, subjects := range denied {
		users = append(users, &server.User{Username: name, Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: subjects},
		}})
	}
	return startServer(t, t.TempDir(), users...)
}

// TestMissingPermissions runs every request that a server may refuse to answer. The error must
// name the subject, and come long before an append would be uncertain.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	opens := func(t *testing.T, nc *nats.Conn, stream string) error {
		l, err := Open(t.Context(), nc, &Options{Stream: stream})
		if err == nil {
			require.NoError(t, l.Close())
		}
		return err
	}
	uses := func(use func(*testing.T, *Log) error) func(*testing.T, *nats.Conn, string) error {
		return func(t *testing.T, nc *nats.Conn, stream string) error {
			l := openLog(t, nc, Options{Stream: stream, giveUp: time.Hour})
			closeLog(t, l)
			return use(t, l)
		}
	}
	for name, test := range map[string]struct {
		denied, stream string
		run            func(t *testing.T, nc *nats.Conn, stream string) error
	}{
		"open":             {"$JS.API.STREAM.INFO.old", "old", opens},
		"create":           {"$JS.API.STREAM.CREATE.new", "new", opens},
		"create the bus's": {"$JS.API.STREAM.CREATE.new_bus", "new", opens},
		"append": {"di.old.>", "old", uses(func(t *testing.T, l *Log) error {
			return l.Append(t.Context(), "room", &eventlog.Record{Data: []byte("1")}, nil)
		})},
		"append and deliver": {"di.old.>", "old", uses(func(t *testing.T, l *Log) error {
			return l.Append(t.Context(), "room", &eventlog.Record{Data: []byte("1")}, func(*eventlog.Record) {})
		})},
		"replay": {"$JS.API.DIRECT.GET.old", "old", uses(func(t *testing.T, l *Log) error {
			r := publish(t, l, "room", "1")
			replay, err := l.After(t.Context(), "room", eventlog.Position{Epoch: r.Epoch, Seq: r.Seq - 1})
			if err != nil {
				return err
			}
			for _, err := range replay.Records {
				return err
			}
			return nil
		})},
		"keep": {"dik.old.>", "old", uses(func(t *testing.T, l *Log) error {
			return l.Bus().Keep(t.Context(), "key", []byte("value"), time.Minute)
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServerWithUsers(t, map[string][]string{"some": {test.denied}})
			all := connect(t, s, nats.UserInfo("all", "secret"))
			require.NoError(t, opens(t, all, "old"))

			err := test.run(t, connect(t, s, nats.UserInfo("some", "secret")), test.stream)
			require.ErrorIs(t, err, nats.ErrPermissionViolation)
			require.NotErrorIs(t, err, eventlog.ErrUncertain)
		})
	}
}

// TestOpenWithoutThePermissionToCreate opens streams that exist.
func TestOpenWithoutThePermissionToCreate(t *testing.T) {
	t.Parallel()
	s := startServerWithUsers(t, map[string][]string{"node": {"$JS.API.STREAM.CREATE.>"}})
	for _, user := range []string{"all", "node"} {
		l := openLog(t, connect(t, s, nats.UserInfo(user, "secret")), Options{Stream: "chat"})
		closeLog(t, l)
		publish(t, l, "room", "of "+user)
	}
}
