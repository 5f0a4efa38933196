package filelog

import (
	"errors"
	"fmt"
)

// Report describes the state that Open or Check found a log directory in.
type Report struct {
	// Clean is set if the log was closed by the process that last had it open, or is new.
	Clean bool
	// NewEpoch is set if Open began a new epoch, or would. Replays from positions after
	// the last record kept of the previous epoch are then truncated.
	NewEpoch bool
	// Segments, Records, Channels and Bytes are the numbers of these that were kept.
	Segments, Channels int
	Records            uint64
	Bytes              int64
	// Cut is the number of bytes of an incomplete write that were removed from the end.
	// They are the result of a crash and had no acknowledged record.
	Cut int64
	// Damage lists the bytes that differ from what was written and synced.
	Damage []Damage
	// Quarantine lists the names of the files in the directory that are damaged
	// originals, of this Open and of earlier ones. They are never read and may be
	// removed.
	Quarantine []string
}

// Damage describes a part of the log that differs from what was written. Open keeps the
// original file under another name and continues with all records that are intact.
type Damage struct {
	// File is the name of the file in the directory.
	File string
	// Offset and Length are the position in the file, in bytes.
	Offset, Length int64
	// First and Last are the Seqs of the first and last record that were lost, or 0 if
	// none was.
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

// Err returns an error that wraps [ErrDamaged] and lists the damage, or nil if there is
// none.
func (r Report) Err() error {
	var errs []error
	for _, d := range r.Damage {
		errs = append(errs, fmt.Errorf("filelog: %w: %v", ErrDamaged, d))
	}
	return errors.Join(errs...)
}
