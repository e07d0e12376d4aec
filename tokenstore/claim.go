package tokenstore

// Lease is what a claim stands on: the backend's word that no other process can
// have taken the claim yet. It is safe for concurrent use.
type Lease interface {
	// Held returns nil as long as the lease is certain to last, and ErrLapsed from
	// then on. It compares the end that is known for certain with both the clock on
	// the wall and the monotonic one, and asks nobody: a process that was paused
	// learns from it, without a round trip, that it slept too long.
	Held() error
	// Lapsed is closed when Held begins to return ErrLapsed. In a process that was
	// paused this may come later than Held tells.
	Lapsed() <-chan struct{}
}

// Claim is the right of one process of the fleet to send the refresh token that
// the note is about: see [Store.BeginRotation].
type Claim struct {
	Rotation
	// Stood: the note stood already when the claim was taken, so that an attempt
	// before this one may have exchanged the refresh token.
	Stood bool
	// Fence grows with each claim that is taken of a connection, in the whole fleet.
	// It is 0 where one process has the store.
	Fence uint64

	lease Lease
}

// NewClaim is for backends. The lease is nil where one process has the store.
func NewClaim(note Rotation, stood bool, fence uint64, lease Lease) Claim {
	return Claim{Rotation: note, Stood: stood, Fence: fence, lease: lease}
}

// Held returns nil as long as no other process can have taken the claim, and
// ErrLapsed from then on. It costs as much as to read the clock. That a claim was
// ended by this process it doesn't know.
func (c *Claim) Held() error {
	if c.lease == nil {
		return nil
	}
	return c.lease.Held()
}

// Lapsed is closed when the claim is not held any more: see [Lease]. It is nil, on
// which one waits for ever, where one process has the store.
func (c *Claim) Lapsed() <-chan struct{} {
	if c.lease == nil {
		return nil
	}
	return c.lease.Lapsed()
}
