package form

import (
	"cmp"
	"math"
)

// Options bounds what Read takes. A zero field means its default.
type Options struct {
	// MaxBytes is the size of the whole text. Default 16 MiB.
	MaxBytes int64

	// MaxData is the size of the part data, which is held in memory. Default: MaxBytes.
	MaxData int64

	// MaxParts is the number of parts, the one called data included, and also those that
	// are ignored. Each may have up to 16 KiB of names in memory. Default 1000.
	MaxParts int

	// MaxMemory is how many bytes of content of files stay in memory, for all files
	// together. A file that does not fit goes to a temporary file. While it is read, one
	// file may take as much again. Default 1 MiB. With MaxBytes or more there are no
	// temporary files.
	MaxMemory int64

	// TempDir is where temporary files are made. Default: [os.TempDir].
	TempDir string
}

// maxNames is how long the name, file name and type of a part may be together.
const maxNames = 16 << 10

func (o Options) withDefaults() Options {
	o.MaxBytes = min(cmp.Or(o.MaxBytes, 16<<20), math.MaxInt64-1)
	o.MaxData = min(cmp.Or(o.MaxData, o.MaxBytes), o.MaxBytes)
	o.MaxParts = cmp.Or(o.MaxParts, 1000)
	o.MaxMemory = min(cmp.Or(o.MaxMemory, 1<<20), o.MaxBytes)
	return o
}
