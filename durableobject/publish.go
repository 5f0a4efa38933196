package durableobject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// PublishEvent stores the event and sends it to its recipients, without waiting for any of
// their sockets. When it returns nil, the event is in the log, as durably as the log promises.
// All subscribers receive the events of an object in the same order; the events of a publisher
// that waits for each call to return are in its order.
//
// Without options the event is for all clients. Options limit it to some of them; if there are
// several, all must match: see [WithTags], [WithTargets] and [WithExclude]. With
// [WithIdempotencyKey] the event can be published again without being stored twice.
//
// It returns an error if the event cannot be encoded, its metadata or an option is invalid, the
// log fails, or a serializer or a predicate panics; then nothing was published. But if ctx ends
// while the event is being stored, the error is that of ctx and the event may have been
// published. The same applies if the error wraps eventlog.ErrUncertain.
//
// If nodes share a log (see Options.Log), the event is sent to the sockets of all nodes, soon
// after it was stored.
func (o *Object[T]) PublishEvent(ctx context.Context, event T, opts ...PublishOption) error {
	if err := o.publish(ctx, event, opts); err != nil {
		o.channels.core.counters.unpublished.Add(1)
		return fmt.Errorf("durableobject: publish: %w", err)
	}
	return nil
}

func (o *Object[T]) publish(ctx context.Context, event T, opts []PublishOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// This may run code of the application, so it comes before pinning the channel.
	data, err := o.channels.core.encode(event)
	if err != nil {
		return err
	}
	rec, p, err := newRecord(o.channels, o.name, data, opts)
	if err != nil {
		return err
	}
	ch, err := o.channels.acquire(ctx, o.name)
	if err != nil {
		return err
	}
	defer ch.release()
	if err := ch.events.Publish(ctx, rec); err != nil {
		return err
	}
	if p != nil {
		p.noteID(rec)
	}
	if c, ok := stateOf(ctx); ok && c.ws.ch == ch {
		c.note(rec.Seq)
	}
	return nil
}

// PublishOption configures a call of PublishEvent, for example the recipients of the event or
// its metadata.
type PublishOption interface{ applyToPublication(p *publication) }

type publishOptionFunc func(*publication)

func (f publishOptionFunc) applyToPublication(p *publication) { f(p) }

// publication collects the options of one PublishEvent.
type publication struct {
	channels *channels
	channel  string
	meta     rpc.EventMeta
	key      string // of WithIdempotencyKey; keyed is set if that was used
	keyed    bool
	id       *string // where the id of the event is stored
	tags     []string
	targets  recipients
	excludes recipients
}

// recipients has recipients and predicates that select further ones.
type recipients struct {
	named []Recipient // not nil if there was any option
	match []func(*Websocket) bool
	err   error
}

// WithTags limits the event to clients whose token has at least one of the tags, whether they
// are connected or reconnect later. Without tags the event is for no client, as in oRPC. If
// the option is used several times, the tags are combined.
func WithTags(tags ...string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.tags = append(slices.Clip(notNil(p.tags)), tags...) })
}

// WithTargets limits the event to the clients of these sockets. It selects them by their ids:
// the event is sent to every socket with one of these ids, also to clients that resume with
// one later. The targets of several options are combined. Without sockets the event is for no
// client.
func WithTargets(ws ...*Websocket) PublishOption {
	return publishOptionFunc(func(p *publication) { p.targets.sockets(p, ws) })
}

// WithTargetsFunc limits the event to clients for which match returns true. PublishEvent calls
// match once for each socket that is connected and has one of the tags; clients that are not
// connected are not targets. No lock is held during the call. If nodes share a log,
// PublishEvent returns [ErrPredicate].
func WithTargetsFunc(match func(*Websocket) bool) PublishOption {
	return publishOptionFunc(func(p *publication) { p.targets.matching(match) })
}

// WithTargetIDs limits the event to clients with these ids, also if they are not connected.
// With Options.Subject use [WithTargetRecipients].
func WithTargetIDs(ids ...string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.targets.ids(p, ids) })
}

// WithTargetRecipients limits the event to these clients, also if they are not connected. A
// client is identified by both subject and id; the subject is empty only for clients whose
// tokens have none. To reach all clients of a subject, put a tag for it into their tokens and use
// [WithTags]. If a recipient has no id, or has a subject although Options.Subject is not set,
// PublishEvent returns [ErrRecipient].
func WithTargetRecipients(r ...Recipient) PublishOption {
	return publishOptionFunc(func(p *publication) { p.targets.recipients(p, r) })
}

// WithExclude excludes the clients of these sockets, by their ids as in [WithTargets]. Excludes
// take precedence over targets. It is not a means of protection, because clients choose their
// ids.
func WithExclude(ws ...*Websocket) PublishOption {
	return publishOptionFunc(func(p *publication) { p.excludes.sockets(p, ws) })
}

// WithExcludeFunc excludes clients for which match returns true. It is called as in
// [WithTargetsFunc]. Clients that are not connected are not excluded. If nodes share a log,
// PublishEvent returns [ErrPredicate].
func WithExcludeFunc(match func(*Websocket) bool) PublishOption {
	return publishOptionFunc(func(p *publication) { p.excludes.matching(match) })
}

// WithExcludeIDs excludes clients with these ids, also if they are not connected. With
// Options.Subject use [WithExcludeRecipients].
func WithExcludeIDs(ids ...string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.excludes.ids(p, ids) })
}

// WithExcludeRecipients excludes these clients, also if they are not connected. It has the same
// requirements as [WithTargetRecipients].
func WithExcludeRecipients(r ...Recipient) PublishOption {
	return publishOptionFunc(func(p *publication) { p.excludes.recipients(p, r) })
}

// WithEventMeta adds metadata to the event. It is oRPC's withEventMeta. If events are kept, the
// log assigns their ids, and the ID of m is ignored.
func WithEventMeta(m rpc.EventMeta) PublishOption {
	return publishOptionFunc(func(p *publication) { p.meta = m })
}

func (r *recipients) add(named ...Recipient) {
	r.named = append(slices.Clip(notNil(r.named)), named...)
}

func (r *recipients) sockets(p *publication, list []*Websocket) {
	r.add()
	for _, ws := range list {
		switch {
		case ws == nil:
			r.err = errors.New("nil socket")
		case ws.ch == nil: // not one of the library's
			r.err = ErrForeignWebsocket
		case ws.ch.core != p.channels.core || ws.ch.name != p.channel:
			r.err = ErrForeignWebsocket
		default:
			r.add(ws.recipient)
		}
	}
}

func (r *recipients) ids(p *publication, ids []string) {
	r.add()
	if p.channels.core.options.Subject != nil && len(ids) > 0 {
		r.err = ErrNoSubject
		return
	}
	for _, id := range ids {
		r.add(Recipient{ID: id})
	}
}

func (r *recipients) recipients(p *publication, list []Recipient) {
	r.add(list...)
	for _, recipient := range list {
		switch {
		case recipient.ID == "":
			r.err = fmt.Errorf("%w: %q has no id; for all clients of a subject use a tag", ErrRecipient, recipient.Subject)
		case recipient.Subject != "" && p.channels.core.options.Subject == nil:
			r.err = fmt.Errorf("%w: %q has a subject, but Options.Subject is not set", ErrRecipient, recipient.ID)
		}
	}
}

func (r *recipients) matching(match func(*Websocket) bool) {
	r.add()
	if match == nil {
		r.err = errors.New("nil predicate")
		return
	}
	r.match = append(r.match, match)
}

// resolve returns the named recipients and those of candidates that the predicates select, or
// nil if there was no option. A predicate may panic.
func (r *recipients) resolve(candidates []*Websocket) []Recipient {
	list := r.named
	for _, ws := range candidates {
		if slices.ContainsFunc(r.match, func(match func(*Websocket) bool) bool { return match(ws) }) {
			list = append(list, ws.recipient)
		}
	}
	return list
}

// newRecord returns the record of an event, with its audience resolved to tags and recipients,
// and the options, or nil if there are none.
func newRecord(c *channels, channel string, data []byte, opts []PublishOption) (*eventlog.Record, *publication, error) {
	if len(opts) == 0 {
		return &eventlog.Record{Data: data}, nil, nil
	}
	p := &publication{channels: c, channel: channel}
	for _, opt := range opts {
		if opt == nil {
			return nil, nil, errors.New("nil option")
		}
		opt.applyToPublication(p)
	}
	rec, err := p.record(data)
	return rec, p, err
}

func (p *publication) record(data []byte) (*eventlog.Record, error) {
	if err := cmp.Or(p.targets.err, p.excludes.err, p.checkKey()); err != nil {
		return nil, err
	}
	if err := p.meta.Validate(); err != nil {
		return nil, err
	}
	if p.channels.core.log != nil {
		p.meta.ID = ""
	}
	meta, err := transport.AppendEventMeta(nil, p.meta)
	if err != nil {
		return nil, err
	}
	targets, excludes, err := p.recipients()
	if err != nil {
		return nil, err
	}
	return &eventlog.Record{Data: data, Meta: meta, Key: p.key, Audience: eventlog.Audience{
		Tags:     p.tags,
		Targets:  targets,
		Excludes: excludes,
	}}, nil
}

// checkKey returns an error if the key cannot be used.
func (p *publication) checkKey() error {
	if p.keyed && !p.channels.core.keyed {
		return ErrNoKeys
	}
	return eventlog.CheckKey(p.key)
}

// recipients returns the named clients, and those of the connected sockets that predicates
// select.
func (p *publication) recipients() (targets, excludes []Recipient, err error) {
	if len(p.targets.match) == 0 && len(p.excludes.match) == 0 {
		return p.targets.named, p.excludes.named, nil
	}
	if p.channels.core.shared != nil {
		return nil, nil, ErrPredicate
	}
	var candidates []*Websocket
	if ch := p.channels.lookup(p.channel); ch != nil {
		candidates = websocketsOf(ch, p.tags)
	}
	err = try(func() error {
		targets, excludes = p.targets.resolve(candidates), p.excludes.resolve(candidates)
		return nil
	})
	return targets, excludes, err
}

// noteID stores the id of the published record where WithEventID asks for it.
func (p *publication) noteID(rec *eventlog.Record) {
	switch {
	case p.id == nil:
	case p.channels.core.log != nil:
		*p.id = rec.Position().String()
	default:
		*p.id = p.meta.ID
	}
}

func notNil[E any](s []E) []E {
	if s == nil {
		return []E{}
	}
	return s
}
