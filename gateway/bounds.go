package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"jiragate/gateway/limit"
	"jiragate/policy"
)

// Limits are the bounds that an operator sets. The others are fixed.
type Limits struct {
	// ClientRate is how many calls a second a client may make; 0: any number.
	ClientRate float64
	// ClientConcurrency is how many calls of a client may be under way at a time;
	// 0: its fair share.
	ClientConcurrency int
	// Memory is the memory limit of the process in bytes, close to which new calls
	// and tunnels are refused; 0: there is none.
	Memory uint64
	// MemoryUsed measures what is in use. Optional: nil asks the runtime.
	MemoryUsed func() uint64
}

// limitName is the name of a limit in metrics and details.
type limitName string

const (
	limitMemory      limitName = "memory"
	limitCalls       limitName = "calls"
	limitBodies      limitName = "body_bytes"
	limitRate        limitName = "client_rate"
	limitTunnels     limitName = "tunnels"
	limitHandshakes  limitName = "handshakes"
	limitConnections limitName = "connections"
	limitStrangers   limitName = "unidentified_connections"
	limitGuesses     limitName = "identification"
)

// bounds are what the gateway bounds its clients with, and the count of whom that
// has hit.
type bounds struct {
	memory     *limit.Memory
	calls      *limit.Places
	bodies     *limit.Places
	rate       *limit.Buckets[string] // nil: none
	handshakes *limit.Places
	sockets    *limit.Places // connections of clients
	strangers  *limit.Places // connections of nobody yet
	guesses    *limit.Guesses
	floods     *limit.Buckets[string]
	life       time.Duration // of a connection, and how many calls it takes
	lifeCalls  int64
	refusals   metric.Int64Counter
}

func newBounds(o Limits, g *Gateway) (*bounds, error) {
	bodies := int64(maxBodyBytes)
	if o.Memory > 0 {
		bodies = max(2*policy.MaxBody, min(bodies, int64(o.Memory/memoryOfBodies)))
	}
	b := &bounds{
		memory: limit.NewMemory(limit.MemoryOptions{
			Limit: o.Memory, Short: memoryShort, Enough: memoryEnough, Every: memoryEvery, Used: o.MemoryUsed,
			Changed: memoryChanged(g.log, o.Memory),
		}),
		calls:      limit.NewPlaces(limit.PlacesOptions{Total: maxCalls, Each: int64(o.ClientConcurrency), Wait: callWait, Queue: maxWaitingCalls}),
		bodies:     limit.NewPlaces(limit.PlacesOptions{Total: bodies, Wait: callWait, Queue: maxWaitingCalls}),
		handshakes: limit.NewPlaces(limit.PlacesOptions{Total: maxHandshakes, Wait: handshakeWait, Queue: waitingHandshakes}),
		sockets:    limit.NewPlaces(limit.PlacesOptions{Total: maxConnections}),
		strangers:  limit.NewPlaces(limit.PlacesOptions{Total: maxStrangers, Each: maxStrangersPerAddress}),
		guesses: limit.NewGuesses(limit.GuessesOptions{
			Pair: pairTries, PairPer: pairPause, Address: addressTries, AddressPer: addressPause, Remember: knownFor, Most: maxTriers,
		}),
		floods: limit.NewBuckets[string](floodRecords, floodPause, maxTriers),
		life:   connectionLife, lifeCalls: maxConnectionCalls,
	}
	if o.ClientRate > 0 {
		b.rate = limit.PerSecond[string](o.ClientRate, maxRatedClients)
	}
	return b, b.meter(g.options.MeterProvider.Meter(instrumentation), g.tunnels)
}

// memoryChanged tells the operator, who would otherwise see refusals only.
func memoryChanged(log *slog.Logger, most uint64) func(short bool, used uint64) {
	return func(short bool, used uint64) {
		if short {
			log.Warn("memory is short: new calls and tunnels are refused until it is not", "used", used, "limit", most, "hint", "raise JIRAGATE_MEMORY_LIMIT, or send less")
			return
		}
		log.Info("there is enough memory again", "used", used, "limit", most)
	}
}

// refused counts a refusal for the sake of a limit, and decides whether it is
// recorded: the first ones of each client or address are, and then a few.
func (b *bounds) refused(c *Call, r *refusal) {
	if r.limit == "" {
		return
	}
	who := "client " + c.client()
	if c.client() == "" {
		who = "address " + limit.Network(c.origin.peer.Addr()).String()
	}
	r.unrecorded = b.floods.Take(who) > 0
	b.count(r.limit, !r.unrecorded)
}

func (b *bounds) count(name limitName, recorded bool) { b.countMore(name, recorded, 1) }

func (b *bounds) countMore(name limitName, recorded bool, n int64) {
	b.refusals.Add(context.Background(), n, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("jiragate.limit", string(name)), attribute.Bool("jiragate.recorded", recorded))))
}

// meter makes the metrics.
func (b *bounds) meter(meter metric.Meter, ts *tunnels) (err error) {
	if b.refusals, err = meter.Int64Counter("jiragate.limit.refusals", metric.WithUnit("{refusal}"),
		metric.WithDescription("Calls, tunnels and connections refused for the sake of a limit of the gateway's own, and whether there is a call record.")); err != nil {
		return err
	}
	for _, name := range []limitName{
		limitMemory, limitCalls, limitBodies, limitRate, limitTunnels, limitHandshakes, limitConnections, limitStrangers, limitGuesses,
	} { // a rate needs to see the zero
		b.countMore(name, true, 0)
	}
	_, err = meter.Float64ObservableGauge("jiragate.limit.use",
		metric.WithDescription("How much of a limit is used, from 0 to 1."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			observe := func(name limitName, used, of float64) {
				o.Observe(used/math.Max(of, 1), metric.WithAttributes(attribute.String("jiragate.limit", string(name))))
			}
			for name, p := range map[limitName]*limit.Places{
				limitCalls: b.calls, limitBodies: b.bodies, limitHandshakes: b.handshakes, limitConnections: b.sockets, limitStrangers: b.strangers,
			} {
				used, of := p.Used()
				observe(name, float64(used), float64(of))
			}
			observe(limitTunnels, float64(ts.count()), maxTunnels)
			if used, of := b.memory.Used(); of > 0 {
				observe(limitMemory, float64(used), float64(of))
			}
			return nil
		}))
	return err
}

// Ready is an error while the gateway refuses new calls because memory is short.
func (g *Gateway) Ready() error {
	if g.bounds.memory.Short() {
		used, of := g.bounds.memory.Used()
		return fmt.Errorf("memory is short: %d of %d bytes are in use, and new calls are refused", used, of)
	}
	return nil
}
