package eventlog

import (
	"errors"
	"fmt"
	"time"
)

const (
	// MaxKeyBytes is how long the Key of a [Record] may be.
	MaxKeyBytes = 128
	// DefaultKeyWindow is how long the logs of this module remember keys by default, or
	// for their retention if that is shorter.
	DefaultKeyWindow = 2 * time.Minute
	// DefaultMaxKeys is how many keys a log remembers at most by default. A key takes
	// about 100 bytes of memory, however long it is.
	DefaultMaxKeys = 1 << 20
)

var (
	// ErrKey is returned by Append for a Key that is longer than MaxKeyBytes.
	ErrKey = errors.New("eventlog: key too long")
	// ErrTooManyKeys is returned by Append for a record with a new Key while the log
	// remembers as many as it may, or all but an eighth, and more than an eighth are of the
	// channel: a log that counts them leaves the last to channels with few. The record is
	// not stored. A later Append succeeds, since keys are forgotten with time.
	ErrTooManyKeys = errors.New("eventlog: too many keys")
)

// Keyed is implemented by a [Log] whose Append stores one record for each [Record.Key] and
// channel. Such a log passes the keys group of eventlogtest.RunStore.
//
// An Append with a key that the log remembers for the channel is a repetition: it stores
// nothing, never calls deliver, and succeeds with the Seq and Epoch of the first record, also if
// its other fields differ or the first record has been dropped since. While the first
// Append is under way the repetition waits: it succeeds if that stores its record, and
// otherwise stores its own or returns the same error. A log that keeps its records when
// the process is killed keeps the keys too, since the key of a record is stored with it.
type Keyed interface {
	Log
	// KeyWindow returns how long a key is remembered, at least, after its record was
	// stored. 0 means that keys are not supported.
	KeyWindow() time.Duration
}

// KeyWindow returns the KeyWindow of log, or 0 if log is not [Keyed]: it must not be
// passed records with a Key then.
func KeyWindow(log Log) time.Duration {
	if keyed, ok := log.(Keyed); ok {
		return keyed.KeyWindow()
	}
	return 0
}

// CheckKey returns an error that wraps [ErrKey] for a Key that is too long. It is for
// implementations of [Keyed].
func CheckKey(key string) error {
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKey, len(key), MaxKeyBytes)
	}
	return nil
}
