package durableobject

import (
	"reflect"
	"sync"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// logUsers counts the namespaces of this process that use a log.
var logUsers = struct {
	mu    sync.Mutex
	count map[eventlog.Log]int
}{count: map[eventlog.Log]int{}}

// useLog registers that a namespace uses log, until it calls leave, and reports whether another one
// uses it too. An eventlog.Prefix of a log counts as another log.
func useLog(log eventlog.Log) (shared bool, leave func()) {
	if v := reflect.ValueOf(log); !v.Comparable() || v.Type().Size() == 0 {
		return false, func() {}
	}
	logUsers.mu.Lock()
	defer logUsers.mu.Unlock()
	logUsers.count[log]++
	return logUsers.count[log] > 1, sync.OnceFunc(func() {
		logUsers.mu.Lock()
		defer logUsers.mu.Unlock()
		if logUsers.count[log]--; logUsers.count[log] == 0 {
			delete(logUsers.count, log)
		}
	})
}
