package notify

import (
	"context"
	"time"

	"jiragate/tokenstore"
)

// run is one [Notifier.Run]. All but the deliveries happens in its goroutine.
type run struct {
	*Notifier
	queue    *queue
	outcomes chan outcome // has room for all deliveries, so that none waits

	// unstored is what was acknowledged and isn't on disk.
	unstored map[string]tokenstore.Announcement
	// ailing: the store failed the last time. It is said once.
	ailing bool
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
	for len(r.queue.busy) > 0 {
		r.take(ctx, <-r.outcomes)
	}
	r.remember(ctx)
}

// start begins the deliveries that are due.
func (r *run) start(ctx context.Context) {
	now := r.now()
	r.queue.compare(r.store.Directory(), now)
	for {
		what, ok := r.queue.next(now)
		if !ok {
			break
		}
		go func() { r.outcomes <- r.deliver(ctx, what) }()
	}
	b := r.queue.backlog()
	r.backlog.Store(&b)
	r.pending.Record(ctx, int64(b.Pending))
}

func (r *run) take(ctx context.Context, o outcome) {
	r.report(ctx, o)
	r.queue.settle(o, r.now())
	if o.verdict == delivered {
		r.unstored[o.news.connection.ID] = o.news.announcement()
	}
}

// remember puts on disk what was acknowledged, also when ctx has ended. What the
// store doesn't take is kept, and not sent again by this process.
func (r *run) remember(ctx context.Context) {
	for id, a := range r.unstored {
		if err := r.store.SetAnnounced(context.WithoutCancel(ctx), a); err != nil {
			if !r.ailing {
				r.log.ErrorContext(ctx, "a delivered webhook can't be noted, and may be sent again after a restart", "connection", id, "error", err,
					"hint", "look at the disk of JIRAGATE_DATA_DIR; receivers tell repeats by webhook-id")
			}
			r.ailing = true
			return
		}
		delete(r.unstored, id)
	}
	r.ailing = false
}
