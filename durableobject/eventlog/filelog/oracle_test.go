package filelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// long reports whether to run the long forms of the tests.
func long() bool { return os.Getenv("FILELOG_LONG") != "" }

// oracle records what was done with a log in all of its processes.
type oracle struct {
	t     *testing.T
	rng   *rand.Rand
	lossy bool // a power loss may take acknowledged records

	mu       sync.Mutex
	n        int
	tried    map[string]string          // payload to channel
	refused  map[string]bool            // payloads that were not stored for certain
	promised map[string]eventlog.Record // by payload: acknowledged or delivered
	ids      map[eventlog.Position]string
	heads    []eventlog.Position
	trimmed  time.Time

	keyed bool                         // some records have keys, and are published again
	keys  []string                     // payloads with keys
	first map[string]eventlog.Position // of payloads with keys: acknowledged or delivered
}

func newOracle(t *testing.T, seed uint64) *oracle {
	return &oracle{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), tried: map[string]string{}, refused: map[string]bool{},
		promised: map[string]eventlog.Record{}, ids: map[eventlog.Position]string{}, first: map[string]eventlog.Position{},
	}
}

const channels = 4

func channelName(i int) string { return "channel-" + strconv.Itoa(i) }

// next makes a record that was never tried.
func (o *oracle) next() (channel string, r *eventlog.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := min(len(o.keys), 8); o.keyed && n > 0 && o.rng.IntN(3) == 0 {
		payload := o.keys[len(o.keys)-1-o.rng.IntN(n)]
		return o.tried[payload], &eventlog.Record{Key: keyOf(payload), Data: []byte(payload)}
	}
	o.n++
	channel = channelName(o.rng.IntN(channels))
	r = &eventlog.Record{Data: fmt.Appendf(nil, "%d:%0*d", o.n, 1+o.rng.IntN(60), 0)}
	o.tried[string(r.Data)] = channel
	if o.keyed && o.rng.IntN(2) == 0 {
		o.keys = append(o.keys, string(r.Data))
		r.Key = keyOf(string(r.Data))
	}
	return channel, r
}

// keyOf returns the key of a payload.
func keyOf(payload string) string {
	number, _, _ := strings.Cut(payload, ":")
	return number
}

// append appends one record and records the result.
func (o *oracle) append(ctx context.Context, l *Log) error {
	channel, r := o.next()
	payload := string(r.Data)
	delivered := false
	err := l.Append(ctx, channel, r, func(r *eventlog.Record) {
		delivered = true
		o.promise(*r)
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Key != "" {
		if err == nil {
			o.placed(payload, r.Position())
		}
		return err
	}
	switch {
	case err == nil && !delivered:
		o.t.Errorf("%s was acknowledged and not delivered", payload)
	case errors.Is(err, ErrNotStored), errors.Is(err, ErrBroken), errors.Is(err, eventlog.ErrClosed):
		o.refused[payload] = true
	}
	return err
}

func (o *oracle) promise(r eventlog.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Key != "" {
		if _, again := o.first[string(r.Data)]; again {
			o.t.Errorf("%s was delivered again, at %v", r.Data, r.Position())
		}
		o.placed(string(r.Data), r.Position())
	}
	o.promised[string(r.Data)] = r
	o.identify(r.Position(), string(r.Data))
}

// placed checks that a payload with a key is stored in one place.
func (o *oracle) placed(payload string, p eventlog.Position) {
	if was, ok := o.first[payload]; ok && was != p {
		o.t.Errorf("%s is at %v and at %v", payload, was, p)
	}
	o.first[payload] = p
}

// identify checks that no id is used for two events.
func (o *oracle) identify(p eventlog.Position, payload string) {
	if was, ok := o.ids[p]; ok && was != payload {
		o.t.Errorf("id %v is of %q and of %q", p, was, payload)
	}
	o.ids[p] = payload
}

// work publishes from a few goroutines until the log fails.
func (o *oracle) work(l *Log, trims bool) {
	var publishers sync.WaitGroup
	for range 3 {
		publishers.Go(func() {
			for goOn(o.append(o.t.Context(), l)) {
			}
		})
	}
	for i := 0; l.Stats().Failure == nil; i++ {
		if p, err := l.Head(o.t.Context(), ""); err == nil {
			o.heads = append(o.heads, p)
		}
		ctx, cancel := context.WithCancel(o.t.Context())
		if i%4 == 0 {
			go cancel()
		}
		err := o.append(ctx, l)
		cancel()
		if !goOn(err) && !errors.Is(err, context.Canceled) {
			break
		}
		if trims && i%8 == 7 {
			o.trim(l)
		}
	}
	publishers.Wait()
}

// goOn reports whether another append may succeed after one that returned err.
func goOn(err error) bool {
	return err == nil || errors.Is(err, ErrNotStored) && !errors.Is(err, errPower)
}

// trim trims to a random time within the retained records.
func (o *oracle) trim(l *Log) {
	o.mu.Lock()
	var before time.Time
	for _, r := range o.promised { // a random one comes first
		before = r.Time
		break
	}
	if before.After(o.trimmed) {
		o.trimmed = before
	}
	o.mu.Unlock()
	_ = l.Trim(o.t.Context(), before) // the power may be lost
}

// verify compares a log that was opened again with what is known.
func (o *oracle) verify(l *Log) {
	kept := map[string]bool{}
	last := map[string]uint64{} // newest Seq kept of each epoch
	for i := range channels {
		channel := channelName(i)
		replay, err := l.After(o.t.Context(), channel, eventlog.Position{})
		require.NoError(o.t, err)
		prev, first := uint64(0), true
		for r, err := range replay.Records {
			if err != nil {
				require.NoError(o.t, err)
			}
			payload := string(r.Data)
			switch { // without a require for each record: there are many
			case o.tried[payload] != channel:
				require.Failf(o.t, "never published there", "%q in %s", payload, channel)
			case o.refused[payload]:
				require.Failf(o.t, "refused and stored", "%q", payload)
			case kept[payload]:
				require.Failf(o.t, "stored twice", "%q", payload)
			case r.Prev >= r.Seq, !first && r.Prev != prev:
				require.Failf(o.t, "broken chain", "record %d with Prev %d follows %d", r.Seq, r.Prev, prev)
			case first && r.Prev > 0:
				o.truncated(l, channel, eventlog.Position{Epoch: r.Epoch, Seq: r.Prev - 1})
			}
			prev, first = r.Seq, false
			kept[payload] = true
			last[r.Epoch] = max(last[r.Epoch], r.Seq)
			o.identify(r.Position(), payload)
			if slices.Contains(o.keys, payload) {
				o.placed(payload, r.Position())
			}
		}
	}
	lost := map[string]bool{}
	for payload, r := range o.promised {
		if !kept[payload] {
			if !o.lossy {
				require.True(o.t, r.Time.Before(o.trimmed), "record %v is lost", r.Position())
			} else if !r.Time.Before(o.trimmed) {
				o.truncated(l, o.tried[payload], r.Position())
			}
			lost[payload] = true
		}
	}
	for payload := range lost {
		delete(o.promised, payload)
		if o.lossy { // a key is lost with its record
			delete(o.first, payload)
		}
	}
	head, err := l.Head(o.t.Context(), "")
	require.NoError(o.t, err)
	for epoch, seq := range last {
		if epoch != head.Epoch {
			o.truncated(l, channelName(0), eventlog.Position{Epoch: epoch, Seq: seq + 1e6})
		}
	}
	o.checkHeads(l)
}

// checkHeads checks that positions that were returned stay complete until later records are
// dropped.
func (o *oracle) checkHeads(l *Log) {
	for _, p := range o.heads {
		replay, err := l.After(o.t.Context(), channelName(0), p)
		require.NoError(o.t, err)
		if o.trimmed.IsZero() && !o.lossy {
			require.False(o.t, replay.Truncated, "position %v is truncated", p)
		}
	}
	o.heads = o.heads[max(0, len(o.heads)-8):]
}

func (o *oracle) truncated(l *Log, channel string, p eventlog.Position) {
	replay, err := l.After(o.t.Context(), channel, p)
	require.NoError(o.t, err)
	require.True(o.t, replay.Truncated, "position %v is complete, but its records are lost", p)
}
