package activity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"jiragate/gateway/audit"
)

const (
	// MaxWatchers is how many may watch at a time.
	MaxWatchers = 64
	// watchBuffer is how many records wait for a watcher.
	watchBuffer = 256
)

// ErrWatchers: as many watch as may.
var ErrWatchers = errors.New("too many follow the records")

// Event is a record that was just written. It must not be changed.
type Event struct {
	Record audit.Record
	Missed uint64 // records before it that were lost, since the watcher was too slow
}

// Watch gives the records, acts too, that are written from now on, in no certain
// order, until ctx ends; then the channel is closed. Who is slower than the calls
// loses records and is told how many. The error is [ErrWatchers].
func (b *Board) Watch(ctx context.Context) (<-chan Event, error) { return b.live.join(ctx) }

// audience are the watchers.
type audience struct {
	size     atomic.Int32
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	events chan Event
	missed uint64
}

func (a *audience) join(ctx context.Context) (<-chan Event, error) {
	w := &watcher{events: make(chan Event, watchBuffer)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.watchers) >= MaxWatchers {
		return nil, fmt.Errorf("%w: %d do; try again when one has gone", ErrWatchers, MaxWatchers)
	}
	if a.watchers == nil {
		a.watchers = make(map[*watcher]struct{})
	}
	a.watchers[w] = struct{}{}
	a.size.Store(int32(len(a.watchers)))
	context.AfterFunc(ctx, func() { a.leave(w) })
	return w.events, nil
}

func (a *audience) leave(w *watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.watchers, w)
	a.size.Store(int32(len(a.watchers)))
	close(w.events)
}

// tell never blocks.
func (a *audience) tell(r *audit.Record) {
	if a.size.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.watchers {
		select {
		case w.events <- Event{*r, w.missed}:
			w.missed = 0
		default:
			w.missed++
		}
	}
}
