package filelog

import (
	"errors"
	"fmt"
)

// Report describes the state that Open or Check found a log directory in.
type Report struct {
	// Clean is set if the log was closed by the process that last had it open, or is new.
	Clean bool
	// NewEpoch is set if Open began a new epoch, or would: positions past what
	// was kept of the one before are truncated.
	NewEpoch bool
	// Segments, Records, Channels and Bytes count what is kept.
	Segments, Channels int
	Records            uint64
	Bytes              int64
	// Cut is how many bytes of an unfinished write were cut from the end. That is
	// what a crash may leave; no acknowledged record was in them.
	Cut int64
	// Damage is what was found to differ from what was written and synced.
	Damage []Damage
	// Quarantine names the files in the directory that hold damaged originals,
	// of this Open and of earlier ones. They are never read and may be removed.
	Quarantine []string
}

// Damage is a part of the log that is not as it was written. Open keeps the
// original file aside and goes on with all records that still hold.
type Damage struct {
	// File is the name of the file in the directory.
	File string
	// Offset and Length are the place in it, in bytes.
	Offset, Length int64
	// First and Last are the Seqs of the records that were lost; both are 0 if none was.
	First, Last uint64
	// Reason describes what is wrong.
	Reason string
}

func (d Damage) String() string {
	s := fmt.Sprintf("%s: %s (%d bytes at %d)", d.File, d.Reason, d.Length, d.Offset)
	if d.Last != 0 {
		s += fmt.Sprintf(", records %d to %d are lost", d.First, d.Last)
	}
	return s
}

// Err returns nil if nothing was damaged, else an error that wraps ErrDamaged and lists
// the damage.
func (r Report) Err() error {
	var errs []error
	for _, d := range r.Damage {
		errs = append(errs, fmt.Errorf("%w: %v", ErrDamaged, d))
	}
	return errors.Join(errs...)
}
