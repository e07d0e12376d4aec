package etcd

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/tokenstore"
)

// picture is what a gateway knows of all that is live, kept by following it.
type picture struct {
	directory atomic.Pointer[tokenstore.Directory]
	// confirmed is when the picture was complete, as far as is known for certain; with the
	// reading of a clock that can't be set.
	confirmed atomic.Pointer[time.Time]

	mu      sync.Mutex
	applied int64            // revision: all up to it is in the picture
	claims  map[string]claim // by connection
	moved   chan struct{}    // closed when applied grows
}

// claim is that of a gateway.
type claim struct {
	session string
	mod     int64 // revision
}

func newPicture() *picture {
	p := &picture{moved: make(chan struct{}), claims: make(map[string]claim)}
	p.directory.Store(tokenstore.NewDirectory(nil, nil))
	return p
}

// revision is up to where the picture goes.
func (p *picture) revision() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied
}

// advance notes that all up to a revision is in the picture.
func (p *picture) advance(revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision > p.applied {
		p.applied = revision
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// await returns when the picture has all up to a revision, or ctx ends.
func (p *picture) await(ctx context.Context, revision int64) error {
	return p.awaitThat(ctx, func() bool { return p.applied >= revision })
}

// awaitThat returns when holds does, which is called with p.mu held, or ctx ends.
func (p *picture) awaitThat(ctx context.Context, holds func() bool) error {
	for {
		p.mu.Lock()
		ok, moved := holds(), p.moved
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
