package eventlog

import "time"

// Expiring is implemented by a [Log] that drops records by itself when they reach a certain
// age. A namespace uses it to report that events are kept for less time than it needs.
type Expiring interface {
	Log
	// Retention returns how long records are kept, or 0 if they are not dropped by age.
	Retention() time.Duration
}

// Retention returns the Retention of log, or 0 if log is not [Expiring].
func Retention(log Log) time.Duration {
	if expiring, ok := log.(Expiring); ok {
		return expiring.Retention()
	}
	return 0
}
