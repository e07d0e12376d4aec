package echo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// MonitorOptions are the options of a [Monitor].
type MonitorOptions struct {
	Options
	// Present are the addresses that a round verifies. Optional: nil means Addresses,
	// which are those at the start.
	Present func() []netip.Addr

	// Interval is the time from the end of a round to the next one, give or take
	// a tenth, so that the gateways of a fleet don't ask all at once. It is
	// between a minute and a day; 0 means ten minutes.
	Interval time.Duration
	// Logger gets a line when the verdict on an address has changed, or the
	// addresses seen in its place, and for the first verdict; nil means none.
	Logger *slog.Logger
	// Meter gets two gauges; nil means none. jiragate.egress.verified, by
	// jiragate.egress_ip, is 1 for a verified address, 0 for one that differs
	// and -1 for one of which nothing is known, as before the first round.
	// jiragate.egress.verification.age is the time since the end of the last
	// round, in seconds; there is none before.
	Meter metric.Meter
}

// Monitor verifies the egress addresses from time to time. Its methods are safe
// for concurrent use, but [Monitor.Run] runs once at a time.
type Monitor struct {
	options  Options
	present  func() []netip.Addr
	again    chan struct{}
	interval time.Duration
	log      *slog.Logger
	last     atomic.Pointer[Report] // of a whole round; nil before the first
}

// NewMonitor returns a Monitor, which does nothing until [Monitor.Run]. It fails
// if an option is not as it should be, or with the error of the meter.
func NewMonitor(o MonitorOptions) (*Monitor, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("monitor the egress addresses: %w", err)
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Interval < minInterval || o.Interval > maxInterval {
		return nil, fmt.Errorf("monitor the egress addresses: the interval is %s; choose one between %s and %s", o.Interval, minInterval, maxInterval)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Monitor{options: o.Options, present: o.Present, again: make(chan struct{}, 1), interval: o.Interval, log: o.Logger}
	if m.present == nil {
		addresses := slices.Clone(o.Addresses)
		m.present = func() []netip.Addr { return addresses }
	}
	m.options.Services = slices.Clone(o.Services)
	if err := m.measureBy(o.Meter); err != nil {
		return nil, fmt.Errorf("monitor the egress addresses: %w", err)
	}
	return m, nil
}

// Run verifies at once and then at every interval, until ctx ends. A round that
// is under way then is given up and counts for nothing.
func (m *Monitor) Run(ctx context.Context) {
	for {
		round := m.options
		round.Addresses = m.present()
		report, err := Verify(ctx, round)
		if ctx.Err() != nil {
			return
		}
		if err != nil { // of the addresses: the others were checked
			m.log.ErrorContext(ctx, "the egress addresses can't be verified", slog.Any("error", err),
				slog.String("hint", "the last report stays; mend JIRAGATE_EGRESS_FILE if the addresses are wrong"))
			report = m.last.Load()
		}
		m.note(ctx, m.last.Swap(report), report)
		select {
		case <-ctx.Done():
			return
		case <-m.again:
		case <-time.After(jitter(m.interval)):
		}
	}
}

// Again begins a round now, or when the one that is under way is over: the addresses
// are others.
func (m *Monitor) Again() {
	select {
	case m.again <- struct{}{}:
	default:
	}
}

// jitter returns d times 0.9 to 1.1.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// Last returns the report of the last whole round; nil before the first. It must
// not be changed.
func (m *Monitor) Last() *Report { return m.last.Load() }

// Ready returns an error, matching [ErrDiffers], if the last round found that
// calls leave from another address than the published one: customers who allow
// only the published ones would refuse them. An address of which nothing is
// known is only a warning in the log, and so Ready returns nil before the
// first round, and while the echo services are down.
func (m *Monitor) Ready() error {
	if last := m.last.Load(); last != nil {
		return last.Err()
	}
	return nil
}

// note writes a line for each address of which something else is known than
// before. There may be no report before, or one about other addresses.
func (m *Monitor) note(ctx context.Context, before, now *Report) {
	if now == nil {
		return
	}
	for i := range now.Addresses {
		a := &now.Addresses[i]
		attributes := []any{slog.String("address", a.Public.String()), slog.String("verdict", string(a.Verdict))}
		if was := before.of(a.Public); was != nil {
			if was.Verdict == a.Verdict && slices.Equal(was.others(), a.others()) {
				continue
			}
			attributes = append(attributes, slog.String("before", string(was.Verdict)))
		}
		if problems := a.problems(); problems != "" {
			attributes = append(attributes, slog.String("problems", problems))
		}
		switch a.Verdict {
		case VerdictVerified:
			m.log.InfoContext(ctx, "calls leave from the published egress address", attributes...)
		case VerdictDiffers:
			attributes = append(attributes, slog.Any("seen", a.others()))
			m.log.ErrorContext(ctx, "calls do not leave from the published egress address: customers who allow only that one refuse them",
				append(attributes, "hint", "mend the route, NAT or provider's proxy of the address; until then publish the one that is seen, or take it out of JIRAGATE_EGRESS")...)
		default:
			m.log.WarnContext(ctx, "no echo service could say which address calls leave from; it is asked again later",
				append(attributes, "hint", "if it goes on, see that the services of JIRAGATE_EGRESS_ECHO answer: jiragate egress verify")...)
		}
	}
}

func (m *Monitor) measureBy(meter metric.Meter) error {
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	_, err := meter.Int64ObservableGauge("jiragate.egress.verified", // without a unit: "1" makes it a ratio in Prometheus

		metric.WithDescription("Whether calls leave from a published egress address: 1 if echo services saw it, 0 if they saw another one, -1 if that is unknown."),
		metric.WithInt64Callback(m.observeVerdicts))
	_, err2 := meter.Float64ObservableGauge("jiragate.egress.verification.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the egress addresses were last verified."),
		metric.WithFloat64Callback(m.observeAge))
	return errors.Join(err, err2)
}

func (m *Monitor) observeVerdicts(_ context.Context, observer metric.Int64Observer) error {
	last := m.last.Load()
	for _, public := range m.present() {
		verdict := VerdictUnknown
		if known := last.of(public); known != nil {
			verdict = known.Verdict
		}
		observer.Observe(gauge(verdict), egressIP(public))
	}
	return nil
}

func (m *Monitor) observeAge(_ context.Context, observer metric.Float64Observer) error {
	if last := m.last.Load(); last != nil {
		observer.Observe(time.Since(last.Finished).Seconds())
	}
	return nil
}

func egressIP(public netip.Addr) metric.ObserveOption {
	return metric.WithAttributes(attribute.String("jiragate.egress_ip", public.String()))
}

func gauge(v Verdict) int64 {
	switch v {
	case VerdictVerified:
		return 1
	case VerdictDiffers:
		return 0
	}
	return -1
}
