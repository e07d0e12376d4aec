package oauth

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"jiragate/tokenstore"
)

// Run counts ticks, and compares no times of its own, so that a clock that is set
// makes it neither miss nor repeat anything.
const (
	tick       = 5 * time.Second
	resumeEach = 12  // ticks: a minute
	sweepEach  = 720 // ticks: an hour, times 0.9 to 1.1

	// How many refreshes Run has under way at once: those that calls depend on, and
	// those for their own sake.
	maxUrgent = 16
	maxIdle   = 3
)

// Run keeps grants alive until ctx ends, and then returns nil. Without it tokens
// are renewed only when somebody asks for one. For the connections that are served
// here (Options.Serves) and may be called:
//
//   - At once, and each minute, it goes on with refreshes whose answer may be lost:
//     the program was killed, or the connection disabled meanwhile.
//   - It renews tokens that were used since they were issued when they are about to
//     end, so that as a rule no call waits for a refresh.
//   - About each hour it looks for refresh tokens that were not used for a third
//     of their life, and uses them, at an hour of the day that is each connection's
//     own, a few at a time; those of connections that were imported, too, of which
//     it isn't known how old they are.
//   - Then it also announces grants that end.
//
// Of gateways that share the store one is on duty for all but the second
// (Options.OnDuty), which is about what was used here; one that comes on duty begins
// at once.
//
// The hourly look reads and decrypts the credential of every connection, which
// takes tens of microseconds each (BenchmarkSweep). All else
// is done in memory, and costs what those cost that have something due.
func (m *Manager) Run(ctx context.Context) error {
	k := &keeper{m: m, urgent: make(chan struct{}, maxUrgent), leisure: make(chan struct{}, maxIdle), freed: make(chan struct{}, 1)}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n, nextLook, nextSweep, onDuty := 0, 0, 0, false; ; {
		before := onDuty
		if onDuty = m.onDuty(); onDuty && !before {
			nextLook, nextSweep = n, n+rand.IntN(resumeEach) // not all gateways at once
		}
		if onDuty && n == nextLook {
			k.findStanding(ctx)
			nextLook += resumeEach
		}
		if onDuty && n == nextSweep {
			k.sweep(ctx)
			nextSweep += int(sweepEach * (0.9 + 0.2*rand.Float64()))
		}
		if !onDuty {
			k.standing, k.idle = nil, nil // another one's
		}
		k.findDue()
		k.work(ctx)
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return nil
			case <-k.freed:
				k.work(ctx)
			case <-ticker.C:
				n++
				wait = false
			}
		}
	}
}

// keeper is what Run knows. All but the channels belongs to its goroutine.
type keeper struct {
	m *Manager

	// What is to be refreshed: notes that stand, tokens that end, refresh tokens
	// that would lapse. In this order, and within each in its own.
	standing, due, idle []task
	sweptAt             time.Time

	urgent, leisure chan struct{} // as many as there are refreshes under way
	freed           chan struct{} // one of them has ended
}

// task is a credential to refresh; its force is 0 if only a token that is due
// should be.
type task struct {
	holder holder
	force  uint64
}

// work begins as many refreshes as there may be.
func (k *keeper) work(ctx context.Context) {
	for _, queue := range []struct {
		tasks *[]task
		slots chan struct{}
	}{{&k.standing, k.urgent}, {&k.due, k.urgent}, {&k.idle, k.leisure}} {
		for len(*queue.tasks) > 0 && k.begin(ctx, (*queue.tasks)[0], queue.slots) {
			*queue.tasks = (*queue.tasks)[1:]
		}
	}
}

// begin begins a refresh, if it is still needed; false means that there is no slot
// for it.
func (k *keeper) begin(ctx context.Context, t task, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
	default:
		return false
	}
	f := k.m.unasked(ctx, t.holder, demand{force: t.force})
	if f == nil {
		<-slots
		return true
	}
	go func() {
		<-f.done
		<-slots
		select {
		case k.freed <- struct{}{}:
		default:
		}
	}()
	return true
}

// kept reports whether the grants of a connection are kept alive here.
func (m *Manager) kept(c *tokenstore.Connection) bool {
	return c.State.Callable() && m.serves(c)
}

// findStanding looks for notes of refreshes that nobody goes on with.
func (k *keeper) findStanding(ctx context.Context) {
	notes, err := k.m.store.Rotations(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.m.log.WarnContext(ctx, "the notes of OAuth refreshes could not be read", "error", err.Error(),
				"hint", "look at the store: jiragate store check, and the disk of JIRAGATE_DATA_DIR, or etcd's members; it is tried again")
		}
		return
	}
	k.standing = k.standing[:0]
	directory := k.m.store.Directory()
	for _, n := range notes {
		h := holder{n.Connection, tokenstore.Incarnation(n.Generation)}
		c, ok := directory.Connection(n.Connection)
		if ok && c.Incarnation == h.incarnation && k.m.kept(c) && !k.m.attended(h) {
			k.standing = append(k.standing, task{h, n.Generation})
		}
	}
}

// attended reports whether a refresh is under way, or will be.
func (m *Manager) attended(h holder) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.renewals[h]
	return r != nil && (r.running != nil || r.retry != nil)
}

// findDue looks for tokens that were used and are about to end; the first to end
// come first.
func (k *keeper) findDue() {
	type ending struct {
		task
		expiry time.Time
	}
	var found []ending
	directory := k.m.store.Directory()
	k.m.mu.Lock()
	now := k.m.now()
	for h, r := range k.m.renewals {
		used := r.used
		if used.generation == 0 || r.running != nil || !r.ends(used.generation, used.expiry, now) {
			continue
		}
		if r.with(used.generation).failures > 0 {
			continue // whether it is tried again unasked, and when, is backOff's to say
		}
		c, ok := directory.Connection(h.connection)
		if !ok || c.Incarnation != h.incarnation || !k.m.kept(c) || r.last.generation > used.generation {
			r.used.generation = 0
			continue
		}
		found = append(found, ending{task{h, 0}, used.expiry})
	}
	k.m.mu.Unlock()
	slices.SortFunc(found, func(a, b ending) int {
		return cmp.Or(a.expiry.Compare(b.expiry), cmp.Compare(a.holder.connection, b.holder.connection))
	})
	k.due = k.due[:0]
	for _, e := range found {
		k.due = append(k.due, e.task)
	}
}
