package offsite

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"jiragate/tokenstore/secret"
)

const (
	defaultInterval    = time.Minute
	defaultLastAttempt = 5 * time.Second
)

// Options of a [Courier].
type Options struct {
	// Places come from [ParsePlaces]. Without any, nothing is delivered.
	Places []Place

	// Interval is the least time between two checkpoints at a place; 0 means a
	// minute.
	Interval time.Duration
	// LastAttempt is how long [Courier.Run] goes on when its context has ended; 0
	// means 5 s.
	LastAttempt time.Duration

	// Stdout is where the place stdout is. Each line comes in one Write.
	Stdout io.Writer
	// Token is sent to all endpoints (RFC 6750), without white space around it;
	// empty means none.
	Token secret.Secret
	// Roots are what certificates of endpoints must lead to; nil means the system's.
	Roots *x509.CertPool

	// Publish brings a checkpoint of the log origin to the place store, within about 30 s
	// and before ctx ends. An error that matches [ErrContradicted] says that the place has
	// one that this one can't follow.
	Publish func(ctx context.Context, origin string, signed []byte) error

	// Logger gets a line when a place begins to fail and when it is back, and when
	// a directory has another file in the way; nil means none.
	Logger *slog.Logger
	// Meter gets the counter jiragate.audit.checkpoint.deliveries, by
	// jiragate.place.kind, jiragate.place.index (from 0, as in Places) and
	// jiragate.result (delivered; failed; contradicted; stalled: an attempt has been under
	// way for 30 s), and the gauge jiragate.audit.checkpoint.size, in records, by the same
	// but the result. Nil means none.
	Meter metric.Meter
}

// Courier brings checkpoints to places. Its methods are safe for concurrent use,
// but [Courier.Run] runs once.
type Courier struct {
	newest      atomic.Pointer[checkpoint]
	routes      []*route
	lastAttempt time.Duration
	token       atomic.Pointer[secret.Secret]
}

// New returns a Courier, which does nothing until [Courier.Run]. It touches no
// place: one that can't be reached is no reason for a gateway not to start. The
// errors say what of o is missing or wrong, and quote no secret.
func New(o Options) (*Courier, error) {
	if o.Interval < 0 || o.LastAttempt < 0 {
		return nil, errors.New("checkpoints: the interval and the time for the last attempt can't be negative")
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.LastAttempt == 0 {
		o.LastAttempt = defaultLastAttempt
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Courier{lastAttempt: o.LastAttempt}
	if err := c.SetToken(o.Token); err != nil {
		return nil, err
	}
	m, err := newMeters(o.Meter)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	for i, p := range o.Places {
		way, err := c.wayTo(p, o)
		if err != nil {
			return nil, fmt.Errorf("place %d for checkpoints: %w", i+1, err)
		}
		c.routes = append(c.routes, &route{
			newest:   c.newest.Load,
			way:      way,
			interval: o.Interval,
			wake:     make(chan struct{}, 1),
			log:      o.Logger.With("place", p.String()),
			meters:   m.of(p.kind, i),
			status:   Status{Place: p},
		})
	}
	return c, nil
}

// CheckToken reports what keeps [Courier.SetToken] from taking a token.
func (c *Courier) CheckToken(token secret.Secret) error {
	return checkToken(strings.TrimSpace(token.Reveal()))
}

// SetToken is [Options.Token] for each attempt from now on. After an error, which
// quotes nothing of it, the one before stays.
func (c *Courier) SetToken(token secret.Secret) error {
	token = secret.New(strings.TrimSpace(token.Reveal()))
	if err := checkToken(token.Reveal()); err != nil {
		return err
	}
	c.token.Store(&token)
	return nil
}

// way is how checkpoints come to a place. It is called by one goroutine at a time.
// Its errors say what the place's problem is, and no secrets.
type way interface {
	carry(ctx context.Context, c *checkpoint) error
}

func (c *Courier) wayTo(p Place, o Options) (way, error) {
	switch p.kind {
	case KindDirectory:
		return &directory{path: p.dir, storage: disk{}, log: o.Logger}, nil
	case KindStdout:
		if o.Stdout == nil {
			return nil, errors.New("there is no standard output")
		}
		return &lines{w: o.Stdout}, nil
	case KindEndpoint:
		return &endpoint{url: p.url, token: &c.token, transport: newTransport(p, o.Roots)}, nil
	case KindStore:
		if o.Publish == nil {
			return nil, errors.New("there is no store that gateways share")
		}
		return publication(o.Publish), nil
	}
	return nil, errors.New("it does not come from ParsePlaces")
}

// Offer takes the newest checkpoint, which is a signed note, and the size of the
// log that it is of. It keeps a copy, and forgets the one before. It never blocks
// and does no I/O. What is no signed note, or larger than [MaxCheckpoint], is not
// delivered; that shows as failure of all places.
func (c *Courier) Offer(signed []byte, size uint64) {
	if len(c.routes) == 0 {
		return
	}
	c.newest.Store(newCheckpoint(signed, size))
	for _, r := range c.routes {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Run delivers until ctx ends. Then it makes one more attempt for each place that
// doesn't have the newest checkpoint, and returns when these are over, or after
// Options.LastAttempt.
func (c *Courier) Run(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var running sync.WaitGroup
	for _, r := range c.routes {
		running.Go(func() { r.run(ctx, attempts) })
	}
	<-ctx.Done()
	defer time.AfterFunc(c.lastAttempt, giveUp).Stop()
	running.Wait()
}

// Status is how it stands with a place.
type Status struct {
	Place Place

	// Size of the log in the checkpoint that was delivered last by this process,
	// in records, and when that was; both zero before the first.
	Size      uint64
	Delivered time.Time

	// FailingSince is when the first of the failures in a row was, and Problem what
	// the last was, free of secrets; both zero while there is none.
	FailingSince time.Time
	Problem      string
}

// Status returns how it stands with each place, in the order of Options.Places.
func (c *Courier) Status() []Status {
	all := make([]Status, len(c.routes))
	for i, r := range c.routes {
		all[i] = r.currentStatus()
	}
	return all
}
