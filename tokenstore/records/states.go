package records

import (
	"context"

	"jiragate/tokenstore"
)

// SetState changes the state of a connection.
func (s *Store) SetState(ctx context.Context, id string, state tokenstore.State, reason string) error {
	return s.update(ctx, "setting the state of connection "+id, func(t *Change) error {
		r, err := t.connection(id)
		if err != nil {
			return err
		}
		if r.State == state && r.StateReason == reason {
			return ErrUnchanged
		}
		if err := t.setState(r, state, reason); err != nil {
			return err
		}
		if state.Callable() {
			cred, err := t.credential(r)
			if err != nil {
				return err
			}
			if !cred.Consented() {
				return awaitsConsent(state)
			}
		}
		return t.putConnection(r)
	})
}

// awaitsConsent is what a change says that would let calls be made which nothing
// authorises.
func awaitsConsent(s tokenstore.State) error {
	return invalidf("nobody has consented yet, so it can't be %s: have an administrator of its Jira consent", s)
}

// RequireReauthorisation changes the state of a connection that is called if its
// credential is of that generation.
func (s *Store) RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error {
	return s.update(ctx, "requiring that connection "+id+" is authorised again", func(t *Change) error {
		r, err := t.connection(id)
		if err != nil {
			return err
		}
		if r.Generation != generation {
			return conflict(generation, r.Generation)
		}
		if err := t.unclaimed(id); err != nil {
			return err
		}
		if err := t.dropClaim(id); err != nil {
			return err
		}
		rotation, err := readRotation(t, id)
		if err != nil {
			return err
		}
		// It takes a definite answer to get here, so none is waited for any more.
		if err := t.endRotation(id); err != nil {
			return err
		}
		if !r.State.Callable() {
			if rotation == nil {
				return t.unlessFleet()
			}
			return nil
		}
		if err := t.setState(r, tokenstore.StateNeedsReauthorisation, reason); err != nil {
			return err
		}
		return t.putConnection(r)
	})
}

// AnnounceEnd changes the state of an active connection, or the reason of an
// expiring one, if its credential is of that generation.
func (s *Store) AnnounceEnd(ctx context.Context, id string, generation uint64, reason string) error {
	return s.update(ctx, "announcing the end of the grant of connection "+id, func(t *Change) error {
		r, err := t.connection(id)
		if err != nil {
			return err
		}
		if r.Generation != generation {
			return conflict(generation, r.Generation)
		}
		if !r.State.Callable() || r.State == tokenstore.StateExpiring && r.StateReason == reason {
			return ErrUnchanged
		}
		if err := t.setState(r, tokenstore.StateExpiring, reason); err != nil {
			return err
		}
		return t.putConnection(r)
	})
}

// setState changes the record only.
func (t *Change) setState(r *connectionRecord, state tokenstore.State, reason string) error {
	if r.State != state {
		r.StateSince = t.now
	}
	r.State, r.StateReason, r.UpdatedAt = state, reason, t.now
	c := r.connection()
	return c.Validate()
}
