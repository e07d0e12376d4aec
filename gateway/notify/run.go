package notify

import (
	"context"
	"time"

	"jiragate/tokenstore"
)

// run is one [Notifier.Run]. All but the deliveries happens in its goroutine.
type run struct {
	*Notifier
	queue    *queue       // nil while another gateway is on duty
	outcomes chan outcome // has room for all deliveries, so that none waits

	// unstored is what was acknowledged and isn't on disk.
	unstored map[string]tokenstore.Announcement
	// ailing: the store failed the last time. It is said once.
	ailing bool
	// outdated: what the queue knows, another gateway may have told meanwhile.
	outdated bool
}

func (r *run) loop(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		r.start(ctx)
		select {
		case <-ctx.Done():
		case o := <-r.outcomes:
			r.take(ctx, o)
			r.remember(ctx)
		case <-r.wake:
		case <-ticker.C:
			r.remember(ctx)
		}
	}
	for r.busy() {
		r.take(ctx, <-r.outcomes)
	}
	r.remember(ctx)
}

func (r *run) busy() bool { return r.queue != nil && len(r.queue.busy) > 0 }

// start begins the deliveries that are due, if this gateway is on duty.
func (r *run) start(ctx context.Context) {
	var b Backlog
	if r.prepared(ctx) {
		now := r.now()
		r.queue.compare(r.store.Directory(), now)
		for r.onDuty() {
			what, ok := r.queue.next(now)
			if !ok {
				break
			}
			go func() { r.outcomes <- r.deliver(ctx, what) }()
		}
		b = r.queue.backlog()
	}
	r.backlog.Store(&b)
	r.pending.Record(ctx, int64(b.Pending))
}

// prepared reports whether this gateway is on duty and knows what was told. What it knew
// before another one was on duty it forgets, and asks the store, once its own attempts of that
// time have ended.
func (r *run) prepared(ctx context.Context) bool {
	onDuty := r.onDuty()
	r.outdated = r.outdated || !onDuty
	if !r.outdated {
		return true
	}
	if r.busy() {
		return false
	}
	r.queue = nil
	if !onDuty {
		return false
	}
	announced, ok := r.recall(ctx)
	if !ok {
		return false
	}
	r.queue = newQueue(announced, r.serves)
	r.outdated = false
	return true
}

func (r *run) take(ctx context.Context, o outcome) {
	r.report(ctx, o)
	r.queue.settle(o, r.now())
	if o.verdict == delivered {
		r.unstored[o.news.connection.ID] = o.news.announcement()
	}
}

// remember puts on disk what was acknowledged, also when ctx has ended. What the
// store doesn't take is kept, and not sent again by this process. Once it isn't on duty
// any more, it could be put in place of what the next gateway has told, so it is dropped,
// and told again by that one.
func (r *run) remember(ctx context.Context) {
	if !r.onDuty() {
		clear(r.unstored)
		return
	}
	for id, a := range r.unstored {
		if err := r.store.SetAnnounced(context.WithoutCancel(ctx), a); err != nil {
			if !r.ailing {
				r.log.ErrorContext(ctx, "a delivered webhook can't be noted, and may be sent again after a restart", "connection", id, "error", err,
					"hint", "look at the store: the disk of JIRAGATE_DATA_DIR, or etcd's members; receivers tell repeats by webhook-id")
			}
			r.ailing = true
			return
		}
		delete(r.unstored, id)
	}
	r.ailing = false
}
