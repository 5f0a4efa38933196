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

// ErrConfig is returned by Open for a stream whose settings could lose events unseen, or
// are not those of the options. The error lists the settings that differ.
var ErrConfig = errors.New("natslog: stream has other settings")

// Defaults of Options.
const (
	// DefaultRetention is how long a stream that Open creates keeps records.
	DefaultRetention = time.Hour
	// DefaultCacheBytes is the memory for the newest records of followed channels.
	DefaultCacheBytes = 64 << 20
	// DefaultTailCheck is how often it is checked that no feed misses a record.
	DefaultTailCheck = 2 * time.Second
)

// Options are the options of Open.
type Options struct {
	// Stream is the name of the JetStream stream: letters, digits, "-" and "_". It must
	// be set. Records are stored under the subjects "di.<stream>.>", and republished
	// under "dil.<stream>.>". See [Log.Bus] for what is beside it.
	Stream string

	// Replicas is how many servers store the stream: 1, 3 or 5. Zero is 1.
	Replicas int

	// Retention is how long the stream keeps records. Zero is DefaultRetention, negative
	// is without limit. The smallest is ten times TailCheck, since a feed that has missed
	// a record must read it from the stream.
	Retention time.Duration

	// KeyWindow is how long the stream remembers the keys of records, see [eventlog.Keyed],
	// and the ids under which appends are sent again: its duplicate window. It is at most
	// Retention. Zero is 2 min, or Retention if that is shorter. The servers keep the ids of all
	// messages of the window in memory.
	KeyWindow time.Duration

	// MaxBytes is how large the stream may become. Past it the oldest records are dropped.
	// Zero is no limit but the account's.
	MaxBytes int64

	// Memory stores the stream in the memory of the servers.
	Memory bool

	// Placement selects the servers. Nil leaves it to JetStream. An existing stream is
	// not checked for it.
	Placement *jetstream.Placement

	// Domain is the JetStream domain, for connections to a leaf node. Empty is the
	// domain of the connection.
	Domain string

	// CacheBytes bounds the memory for the newest records of followed channels, from which
	// most resumes are served. All channels share it; the least recently used are dropped
	// first. Zero is DefaultCacheBytes, negative is no cache.
	CacheBytes int64

	// TailCheck is how often the newest records of all followed channels are compared
	// with the stream's. Zero is DefaultTailCheck.
	TailCheck time.Duration

	// NoBus leaves the log without an [eventlog.Bus], and the servers without its stream:
	// see [Log.Bus]. The bus requires NATS 2.11.
	NoBus bool

	// Logger receives errors that are returned to no caller. Its handler is called on a
	// goroutine of its own, so it may block and may use the log. Nil is no logging.
	Logger *slog.Logger

	// Bounds of how long the stream may be out of reach: until nothing is answered from
	// memory any more, until feeds are lost, and until an append is given up. They are set
	// by tests only.
	tooLong, cutOff, giveUp time.Duration
	busBytes                int64 // how large the stream of the bus may become; set by tests only
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

// duplicates is how long the stream remembers the ids of messages, so that a retried
// append is stored once.
func (o *Options) duplicates() time.Duration {
	window := cmp.Or(o.KeyWindow, eventlog.DefaultKeyWindow)
	if o.Retention > 0 {
		return min(window, o.Retention)
	}
	return window
}

// epochKey is the entry of the stream's metadata that Open and a loss of records set.
const epochKey = "durable-iterator-epoch"

// config is that of a new stream.
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
		// Seqs of a stream that is made anew go on after those of the old one.
		FirstSeq: uint64(time.Now().UnixMicro()),
	}
	if o.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// check returns an error that wraps ErrConfig and names what of an existing stream has to
// be otherwise.
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
	// JetStream keeps no floor of each subject: whatever drops messages other than the
	// oldest of the stream would drop them unseen.
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

// differences are the settings of a stream that are not as they should be.
type differences []error

func (d *differences) compare(name string, is, should any) {
	if is != should {
		*d = append(*d, fmt.Errorf("%w: %s is %v, not %v", ErrConfig, name, is, should))
	}
}
