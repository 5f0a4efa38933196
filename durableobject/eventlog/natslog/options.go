package natslog

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// ErrConfig is returned by Open if an existing stream has settings with which events could
// be lost without being noticed, or that differ from the options. The error lists them.
var ErrConfig = errors.New("stream has other settings")

// Defaults of Options.
const (
	// DefaultRetention is the default of Options.Retention.
	DefaultRetention = time.Hour
	// DefaultCacheBytes is the default of Options.CacheBytes.
	DefaultCacheBytes = 64 << 20
	// DefaultTailCheck is the default of Options.TailCheck.
	DefaultTailCheck = 2 * time.Second
)

// Options configures [Open]. Stream is required.
type Options struct {
	// Stream is the name of the JetStream stream: letters, digits, "-" and "_". It must
	// be set. Records are stored under the subjects "di.<stream>.>" and republished under
	// "dil.<stream>.>". See [Log.Bus] for the stream of the bus.
	Stream string

	// Replicas is the number of servers that store the stream: 1, 3 or 5. Zero means 1.
	Replicas int

	// Retention is how long the stream keeps records. Zero means DefaultRetention, 1 hour;
	// a negative value means no limit. It must be at least ten times TailCheck, since a
	// feed that has missed a record must read it from the stream.
	Retention time.Duration

	// KeyWindow is how long the stream remembers the keys of records, see [eventlog.Keyed],
	// and the message ids of appends that are sent again. It is the duplicate window of
	// the stream, and must not be longer than Retention. Zero means 2 minutes, or Retention
	// if that is shorter. The servers keep the ids of all messages of the window in memory.
	KeyWindow time.Duration

	// MaxBytes is the maximum size of the stream. Beyond it the oldest records are dropped.
	// Zero means that only the limit of the account applies.
	MaxBytes int64

	// Memory stores the stream in the memory of the servers instead of on disk.
	Memory bool

	// Placement selects the servers. If it is nil, JetStream does. It is not compared
	// with that of an existing stream.
	Placement *jetstream.Placement

	// Domain is the JetStream domain, for connections to a leaf node. Empty means the
	// domain of the connection.
	Domain string

	// CacheBytes limits the memory for the newest records of followed channels, from which
	// most resumes are served. All channels share it; the records of the least recently
	// used ones are dropped first. Zero means DefaultCacheBytes, 64 MiB; a negative value
	// means no cache.
	CacheBytes int64

	// TailCheck is how often the newest records of all followed channels are compared
	// with the stream. Zero means DefaultTailCheck, 2 seconds.
	TailCheck time.Duration

	// NoBus disables the [eventlog.Bus] of the log and its stream: see [Log.Bus]. The bus
	// requires NATS 2.11.
	NoBus bool

	// Logger receives errors that are returned to no caller. Its handler is called on a
	// separate goroutine, so it may block and may use the log. If it is nil, nothing is
	// logged.
	Logger *slog.Logger

	// How long the stream may be unreachable until calls are no longer answered from
	// memory, until feeds are lost, and until an append fails. Only tests set them.
	tooLong, cutOff, giveUp time.Duration
	busBytes                int64 // maximum size of the stream of the bus; only tests set it
}

var streamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	c := *o
	c.Retention = cmp.Or(c.Retention, DefaultRetention)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.CacheBytes = cmp.Or(c.CacheBytes, DefaultCacheBytes)
	c.TailCheck = cmp.Or(c.TailCheck, DefaultTailCheck)
	c.tooLong, c.cutOff = cmp.Or(c.tooLong, 10*time.Second), cmp.Or(c.cutOff, 30*time.Second)
	c.busBytes = cmp.Or(c.busBytes, maxKeptBytes)
	c.giveUp = cmp.Or(c.giveUp, min(30*time.Second, c.duplicates()/2))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case !streamName.MatchString(c.Stream):
		return c, fmt.Errorf("bad Stream %q", c.Stream)
	case c.Replicas < 0 || c.Replicas > 5:
		return c, fmt.Errorf("option Replicas %d is out of range", c.Replicas)
	case c.KeyWindow < 0:
		return c, fmt.Errorf("negative KeyWindow %v", c.KeyWindow)
	case c.Retention > 0 && c.KeyWindow > c.Retention:
		return c, fmt.Errorf("option KeyWindow %v is longer than Retention %v", c.KeyWindow, c.Retention)
	case c.MaxBytes < 0:
		return c, fmt.Errorf("negative MaxBytes %d", c.MaxBytes)
	case c.TailCheck < 0:
		return c, fmt.Errorf("negative TailCheck %v", c.TailCheck)
	case c.Retention > 0 && c.Retention < 10*c.TailCheck:
		return c, fmt.Errorf("option Retention %v is less than ten times TailCheck %v", c.Retention, c.TailCheck)
	}
	return c, nil
}

// duplicates returns the duplicate window of the stream: how long it remembers the ids of
// messages, so that an append that is sent again is stored once.
func (o *Options) duplicates() time.Duration {
	window := cmp.Or(o.KeyWindow, eventlog.DefaultKeyWindow)
	if o.Retention > 0 {
		return min(window, o.Retention)
	}
	return window
}

// epochKey is the entry of the stream's metadata that is set by Open, and again after a loss
// of records.
const epochKey = "durable-iterator-epoch"

// config returns the configuration of a new stream.
func (o *Options) config(subjects, live string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:        o.Stream,
		Description: "events of durable iterators",
		Subjects:    []string{subjects},
		Retention:   jetstream.LimitsPolicy,
		MaxAge:      max(o.Retention, 0),
		MaxBytes:    cmp.Or(o.MaxBytes, -1),
		Replicas:    o.Replicas,
		Duplicates:  o.duplicates(),
		Placement:   o.Placement,
		DenyDelete:  true,
		DenyPurge:   true,
		AllowDirect: true,
		RePublish:   &jetstream.RePublish{Source: subjects, Destination: live},
		// If a stream is created again, its Seqs are after those of the old one.
		FirstSeq: uint64(time.Now().UnixMicro()),
	}
	if o.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// check returns an error that wraps ErrConfig and lists the settings of an existing stream
// that must be changed.
func (o *Options) check(c jetstream.StreamConfig, subjects, live string) error {
	want := o.config(subjects, live)
	var errs differences
	errs.compare("Subjects", fmt.Sprint(c.Subjects), fmt.Sprint(want.Subjects))
	errs.compare("Retention", c.Retention, want.Retention)
	errs.compare("MaxAge", c.MaxAge, want.MaxAge)
	errs.compare("MaxBytes", max(c.MaxBytes, 0), max(want.MaxBytes, 0))
	errs.compare("Replicas", c.Replicas, want.Replicas)
	errs.compare("Storage", c.Storage, want.Storage)
	errs.compare("Discard", c.Discard, jetstream.DiscardOld)
	errs.compare("Duplicates", c.Duplicates, want.Duplicates)
	errs.compare("DenyDelete", c.DenyDelete, true)
	errs.compare("DenyPurge", c.DenyPurge, true)
	errs.compare("AllowDirect", c.AllowDirect, true)
	errs.compare("NoAck", c.NoAck, false)
	errs.compare("Sealed", c.Sealed, false)
	// JetStream does not record what was dropped of a subject: if other messages than the
	// oldest of the stream were dropped, it would not be noticed.
	errs.compare("MaxMsgsPerSubject", max(c.MaxMsgsPerSubject, 0), int64(0))
	errs.compare("AllowRollup", c.AllowRollup, false)
	errs.compare("AllowMsgTTL", c.AllowMsgTTL, false)
	errs.compare("SubjectDeleteMarkerTTL", c.SubjectDeleteMarkerTTL, time.Duration(0))
	errs.compare("AllowMsgSchedules", c.AllowMsgSchedules, false)
	errs.compare("AllowMsgCounter", c.AllowMsgCounter, false)
	errs.compare("PersistMode", c.PersistMode, jetstream.DefaultPersistMode)
	errs.compare("Mirror", c.Mirror == nil, true)
	errs.compare("Sources", len(c.Sources), 0)
	errs.compare("SubjectTransform", c.SubjectTransform == nil, true)
	if r := c.RePublish; r == nil || r.HeadersOnly || r.Source != subjects || r.Destination != live {
		errs = append(errs, fmt.Errorf("%w: RePublish is not from %s to %s", ErrConfig, subjects, live))
	}
	return errors.Join(errs...)
}

// differences are errors about the settings of a stream.
type differences []error

func (d *differences) compare(name string, is, should any) {
	if is != should {
		*d = append(*d, fmt.Errorf("%w: %s is %v, not %v", ErrConfig, name, is, should))
	}
}
