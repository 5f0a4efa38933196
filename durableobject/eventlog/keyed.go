package eventlog

import (
	"errors"
	"fmt"
	"time"
)

const (
	// MaxKeyBytes is the length in bytes of the longest Key of a [Record].
	MaxKeyBytes = 128
	// DefaultKeyWindow is how long the logs of this module remember keys by default. If
	// their retention is shorter, it is used instead.
	DefaultKeyWindow = 2 * time.Minute
	// DefaultMaxKeys is the default limit of the number of keys that a log remembers. A
	// key takes about 100 bytes of memory, whatever its length.
	DefaultMaxKeys = 1 << 20
)

var (
	// ErrKey is returned by Append for a Key that is longer than MaxKeyBytes.
	ErrKey = errors.New("key too long")
	// ErrTooManyKeys is returned by Append for a record with a new Key if the log already
	// remembers as many keys as it may. A log may reserve the last eighth of them for other
	// channels than those that already use more than an eighth. The record is not stored. A
	// later Append may succeed, because keys are forgotten after some time.
	ErrTooManyKeys = errors.New("too many keys")
)

// Keyed is implemented by a [Log] whose Append stores only one record for each [Record.Key]
// of a channel. Such a log must pass the keys group of eventlogtest.RunStore.
//
// An Append with a key that the log remembers for the channel is a repetition. It stores
// nothing, does not call deliver, and succeeds with the Seq and Epoch of the first record,
// even if the other fields differ or the first record has been dropped since. If the first
// Append has not returned yet, the repetition waits for it: if that succeeds, so does the
// repetition; otherwise it stores its own record or returns the same error. A log that
// keeps its records when the process is killed must also keep the keys.
type Keyed interface {
	Log
	// KeyWindow returns the minimum time for which a key is remembered after its record
	// was stored. 0 means that keys are not supported.
	KeyWindow() time.Duration
}

// KeyWindow returns the KeyWindow of log, or 0 if log is not [Keyed]. If it returns 0,
// records with a Key must not be appended to log.
func KeyWindow(log Log) time.Duration {
	if keyed, ok := log.(Keyed); ok {
		return keyed.KeyWindow()
	}
	return 0
}

// CheckKey returns an error that wraps [ErrKey] if key is longer than [MaxKeyBytes]. It is
// for implementations of [Keyed].
func CheckKey(key string) error {
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKey, len(key), MaxKeyBytes)
	}
	return nil
}
