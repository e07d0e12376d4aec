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
	limitGreetings   limitName = "unidentified_handshakes"
	limitAnswers     limitName = "answers"
	limitRecords     limitName = "records" // of strangers
)

// bounds are what the gateway bounds its clients with, and the count of whom that
// has hit.
type bounds struct {
	memory     *limit.Memory
	calls      *limit.Places
	bodies     *limit.Places
	rate       *limit.Buckets[string] // nil: none
	handshakes *limit.Places          // in tunnels
	greetings  *limit.Places          // handshakes at the listener
	answers    *limit.Places          // refusals on their way to clients
	sockets    *limit.Places          // connections of clients
	strangers  *limit.Places          // connections of nobody yet
	guesses    *limit.Guesses
	floods     *limit.Buckets[string]
	life       time.Duration // of a connection, and how many calls it takes
	lifeCalls  int64
	refusals   metric.Int64Counter
}

// fitting is how many there may be of what takes so many bytes each: most, or under a
// memory limit as many as its part carries, but a few in any case.
func (o Limits) fitting(most, each int64, part uint64) int64 {
	if o.Memory == 0 {
		return most
	}
	const few = 2 * policy.MaxBody // bytes
	return min(most, max(int64(min(o.Memory/part, math.MaxInt64)), few)/each)
}

func newBounds(o Limits, g *Gateway) (*bounds, error) {
	b := &bounds{
		memory: limit.NewMemory(limit.MemoryOptions{
			Limit: o.Memory, Short: memoryShort, Enough: memoryEnough, Every: memoryEvery, CollectEvery: memoryCollect,
			Used: o.MemoryUsed, Changed: memoryChanged(g.log, o.Memory),
		}),
		calls:      limit.NewPlaces(limit.PlacesOptions{Total: o.fitting(maxCalls, callMemory, memoryOfCalls), Each: int64(o.ClientConcurrency), Wait: callWait, Queue: maxWaitingCalls}),
		bodies:     limit.NewPlaces(limit.PlacesOptions{Total: o.fitting(maxBodyBytes, 1, memoryOfBodies), Wait: callWait, Queue: maxWaitingCalls}),
		handshakes: limit.NewPlaces(limit.PlacesOptions{Total: maxHandshakes, Wait: handshakeWait, Queue: waitingHandshakes}),
		greetings:  limit.NewPlaces(limit.PlacesOptions{Total: maxHandshakes, Wait: handshakeWait, Queue: waitingHandshakes}),
		answers:    limit.NewPlaces(limit.PlacesOptions{Total: maxAnswers}),
		sockets:    limit.NewPlaces(limit.PlacesOptions{Total: maxConnections - maxStrangers}),
		strangers:  limit.NewPlaces(limit.PlacesOptions{Total: o.fitting(maxStrangers, maxHeadBytes, memoryOfStrangers)}),
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
// recorded: the first ones of each client or address are, and then a few. So it is with
// all that strangers are refused, or they could fill the disk. A call that has an intent
// is always recorded (G6).
func (b *bounds) refused(c *Call, r *refusal) {
	if c.pending != nil || r.limit == "" && c.client() != "" {
		return
	}
	r.unrecorded = b.floods.Take(c.whose()) > 0
	switch {
	case r.limit != "":
		b.count(r.limit, !r.unrecorded)
	case r.unrecorded:
		b.count(limitRecords, false)
	}
}

// whose names whom the call is counted for: its client, or the network of a stranger.
func (c *Call) whose() string {
	if name := c.client(); name != "" {
		return "client " + name
	}
	return "address " + limit.Network(c.origin.peer.Addr()).String()
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
		limitMemory, limitCalls, limitBodies, limitRate, limitTunnels, limitHandshakes, limitConnections, limitStrangers,
		limitGuesses, limitGreetings, limitAnswers, limitRecords,
	} { // a rate needs to see the zero
		b.countMore(name, name != limitRecords, 0)
	}
	_, err = meter.Float64ObservableGauge("jiragate.limit.use",
		metric.WithDescription("How much of a limit is used, from 0 to 1."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			observe := func(name limitName, used, of float64) {
				o.Observe(used/math.Max(of, 1), metric.WithAttributes(attribute.String("jiragate.limit", string(name))))
			}
			for name, p := range map[limitName]*limit.Places{
				limitCalls: b.calls, limitBodies: b.bodies, limitHandshakes: b.handshakes, limitGreetings: b.greetings,
				limitAnswers: b.answers, limitTunnels: ts.places, limitConnections: b.sockets, limitStrangers: b.strangers,
			} {
				used, of := p.Used()
				observe(name, float64(used), float64(of))
			}
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
