package eventlog

import "time"

// Expiring is implemented by a [Log] that drops records by their age itself. With it a
// namespace reports that its events are kept for less than it needs.
type Expiring interface {
	Log
	// Retention returns how long records are kept, or 0 if their age does not matter.
	Retention() time.Duration
}

// Retention returns the Retention of log, or 0 if log is not [Expiring].
func Retention(log Log) time.Duration {
	if expiring, ok := log.(Expiring); ok {
		return expiring.Retention()
	}
	return 0
}
