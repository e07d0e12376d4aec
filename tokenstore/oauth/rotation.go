package oauth

import (
	"context"
	"sync"
	"time"

	"jiragate/tokenstore"
)

// notes knows which of the store's notes of rotations stand because an answer may
// have got lost, and which were made for the attempt that is under way. The store
// tells that of a note only when it was made, which is taken for its name: no
// clock is compared.
type notes struct {
	mu    sync.Mutex
	since map[string]time.Time // by connection; nil until loaded
}

// begin writes the note of a refresh that is about to be sent. lost reports that
// it stood already: what was sent then may have been exchanged.
func (n *notes) begin(ctx context.Context, store Store, connection string, generation uint64) (note tokenstore.Rotation, lost bool, err error) {
	if err = n.load(ctx, store); err != nil {
		return note, false, err
	}
	if note, err = store.BeginRotation(ctx, connection, generation); err != nil {
		return note, false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	since, ok := n.since[connection]
	n.since[connection] = note.Since
	return note, ok && since.Equal(note.Since), nil
}

// load reads, once, the notes that a process before this one left.
func (n *notes) load(ctx context.Context, store Store) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.since != nil {
		return nil
	}
	standing, err := store.Rotations(ctx)
	if err != nil {
		return err
	}
	n.since = make(map[string]time.Time, len(standing))
	for _, s := range standing {
		n.since[s.Connection] = s.Since
	}
	return nil
}

// forget is for a note that has ended.
func (n *notes) forget(connection string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.since, connection)
}

// takeBack ends the note of a refresh that certainly exchanged nothing. Where that
// fails the note stands, which costs no more than a refresh.
func (m *Manager) takeBack(ctx context.Context, connection string, generation uint64) (ended bool) {
	if err := m.store.EndRotation(context.WithoutCancel(ctx), connection, generation); err != nil {
		m.log.WarnContext(ctx, "the note of an OAuth refresh could not be ended", "connection", connection, "error", err.Error(),
			"hint", "look at the disk of JIRAGATE_DATA_DIR; it is tried again")
		return false
	}
	m.notes.forget(connection)
	return true
}
