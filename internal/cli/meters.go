package cli

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"jiragate/gateway/audit"
	"jiragate/policy"
)

// gauges makes gauges that are observed together, and keeps the first error for the
// end.
type gauges struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (g *gauges) whole(name, unit, description string) metric.Int64ObservableGauge {
	i, err := g.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	g.all, g.err = append(g.all, i), errors.Join(g.err, err)
	return i
}

func (g *gauges) seconds(name, description string) metric.Float64ObservableGauge {
	f, err := g.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
	g.all, g.err = append(g.all, f), errors.Join(g.err, err)
	return f
}

// observe has f called for all of them.
func (g *gauges) observe(f func(metric.Observer)) error {
	if g.err != nil {
		return g.err
	}
	_, err := g.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		f(o)
		return nil
	}, g.all...)
	return err
}

// measureAudit shows how far the log is on disk, and its checkpoints are.
func measureAudit(log *audit.Log, meter metric.Meter) error {
	g := gauges{meter: meter}
	records := g.whole("jiragate.audit.records", "{record}", "Seq of the newest record of the audit log.")
	covered := g.whole("jiragate.audit.checkpointed", "{record}", "Seq of the newest record that a signed checkpoint covers.")
	unproven := g.whole("jiragate.audit.lag", "{record}", "Records that no signed checkpoint covers yet.")
	unwritten := g.whole("jiragate.audit.unwritten", "{record}", "Records of finished calls that could not be written yet.")
	unsynced := g.whole("jiragate.audit.unsynced", "By", "Bytes of records that are not known to be on disk yet.")
	age := g.seconds("jiragate.audit.checkpoint.age", "Time since the newest checkpoint was signed; there is a new one only when there are records.")
	return g.observe(func(o metric.Observer) {
		lag := log.Lag()
		o.ObserveInt64(records, int64(lag.Records))
		o.ObserveInt64(covered, int64(lag.Records-lag.Unproven))
		o.ObserveInt64(unproven, int64(lag.Unproven))
		o.ObserveInt64(unwritten, int64(lag.Unwritten))
		o.ObserveInt64(unsynced, lag.Unsynced)
		if !lag.Checkpointed.IsZero() {
			o.ObserveFloat64(age, max(0, time.Since(lag.Checkpointed).Seconds()))
		}
	})
}

// measure shows which egress addresses work, and what they are used for.
func (w *wayOut) measure(meter metric.Meter) error {
	g := gauges{meter: meter}
	up := g.whole("jiragate.egress.up", "", "1 while nothing is known against an egress address, otherwise 0.")
	sockets := g.whole("jiragate.egress.sockets", "{connection}", "Open sockets by egress address, kept ones included.")
	attempts, err := meter.Int64ObservableCounter("jiragate.egress.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts to connect from an egress address, by what came of them."))
	g.all, g.err = append(g.all, attempts), errors.Join(g.err, err)
	return g.observe(func(o metric.Observer) {
		for _, h := range w.egress.Health() {
			working := int64(0)
			if h.Up {
				working = 1
			}
			o.ObserveInt64(up, working, metric.WithAttributes(
				attribute.String("jiragate.egress_ip", h.Public.String()), attribute.Bool("jiragate.in_use", h.InUse)))
		}
		for _, u := range w.egress.Use() {
			address := attribute.String("jiragate.egress_ip", u.PublicIP)
			o.ObserveInt64(sockets, u.Open, metric.WithAttributes(address))
			for outcome, n := range u.Attempts {
				o.ObserveInt64(attempts, n, metric.WithAttributes(address, attribute.String("jiragate.result", string(outcome))))
			}
		}
	})
}

// measureIdentity shows what runs here: the program, and the policy in force.
func measureIdentity(current func() *policy.Policy, meter metric.Meter) error {
	g := gauges{meter: meter}
	build := g.whole("jiragate.build.info", "", "1, with the version of the program.")
	rules := g.whole("jiragate.policy.info", "", "1, with the hash of the policy in force.")
	v := programVersion()
	program := metric.WithAttributes(attribute.String("jiragate.version", v.Version),
		attribute.String("jiragate.revision", v.Revision), attribute.String("jiragate.go_version", v.Go))
	return g.observe(func(o metric.Observer) {
		o.ObserveInt64(build, 1, program)
		p := current()
		o.ObserveInt64(rules, 1, metric.WithAttributes(
			attribute.String("jiragate.policy_sha256", p.SHA256()), attribute.String("jiragate.policy_version", p.Version())))
	})
}

// measureCertificates shows when certificates end: the CA's, and those of the
// listeners by their names.
func (e *engine) measureCertificates(listeners map[string]*liveTLS) error {
	g := gauges{meter: e.telemetry.MeterProvider().Meter("jiragate/certs")}
	ends := g.seconds("jiragate.certificate.not_after", "When a certificate ends, in seconds of Unix time.")
	return g.observe(func(o metric.Observer) {
		observe := func(name string, at time.Time) {
			o.ObserveFloat64(ends, float64(at.Unix()), metric.WithAttributes(attribute.String("jiragate.certificate", name)))
		}
		present, next := e.authority.Roots()
		observe("root", present.NotAfter)
		if next != nil {
			observe("next_root", next.NotAfter)
		}
		if n, first := e.authority.Intermediates(); n > 0 {
			observe("intermediate", first)
		}
		for name, live := range listeners {
			if config := live.config(); config != nil {
				observe(name, config.Certificates[0].Leaf.NotAfter)
			}
		}
	})
}

// measure shows for how long the gateway may have missed what happened in the store.
func (o *opened) measure(meter metric.Meter) error {
	g := gauges{meter: meter}
	age := g.seconds("jiragate.store.confirmation.age", "Time since etcd confirmed that the gateway knows all that is in the store; 0 for one in a file.")
	return g.observe(func(observer metric.Observer) {
		seconds := 0.0
		if o.confirmed != nil {
			seconds = max(0, time.Since(o.confirmed()).Seconds())
		}
		observer.ObserveFloat64(age, seconds)
	})
}

// measureKeys shows since when keys have been in use.
func (f *foundation) measureKeys(meter metric.Meter) error {
	g := gauges{meter: meter}
	signing := g.seconds("jiragate.audit.key.created", "When the key was made that signs checkpoints, in seconds of Unix time.")
	stored := g.seconds("jiragate.keyset.stored", "When the keyset was stored last, in seconds of Unix time; no key in it is younger.")
	keys := g.whole("jiragate.keyset.keys", "{key}", "Keys in the keyset, of which one seals.")
	return g.observe(func(o metric.Observer) {
		if key, err := f.auditKey.existing(); err == nil && key != nil {
			o.ObserveFloat64(signing, float64(key.Created().Unix()))
		}
		if at, ok := f.keys.Stored(); ok {
			o.ObserveFloat64(stored, float64(at.Unix()))
		}
		o.ObserveInt64(keys, int64(len(f.keys.KeyIDs())))
	})
}
