package records

import (
	"fmt"

	"jiragate/tokenstore"
)

// Fleet is this process among those that share a store, in one transaction.
type Fleet interface {
	// Session is a name that no other process has, nor this one once its lease has
	// lapsed.
	Session() string
	// Node is what people call it.
	Node() string
	// Fence is larger than that of any claim that the transaction can read.
	Fence() uint64
	// Lease is what claims of this process stand on.
	Lease() tokenstore.Lease
}

// claimRecord says who refreshes the credential of a connection.
type claimRecord struct {
	Connection string `json:"connection"`
	Session    string `json:"session"`
	Node       string `json:"node,omitempty"`
	Fence      uint64 `json:"fence"`
}

// Claimant returns the session of a record of [Claims].
func Claimant(key, value []byte) (session string, err error) {
	var r claimRecord
	if err := decode(value, &r); err != nil {
		return "", corruptf("claim of connection %q: %v", key, err)
	}
	if r.Connection != string(key) {
		return "", corruptf("claim of connection %q holds the record of another one", key)
	}
	return r.Session, nil
}

// claim returns the record of a connection, or nil.
func (t *Change) claim(id string) (*claimRecord, error) {
	if t.fleet == nil {
		return nil, nil
	}
	v, err := t.Get(Claims, id)
	if v == nil || err != nil {
		return nil, err
	}
	var r claimRecord
	if err := decode(v, &r); err != nil {
		return nil, corruptf("claim of connection %q: %v", id, err)
	}
	return &r, nil
}

// unclaimed says that another process refreshes the credential, if one does.
func (t *Change) unclaimed(id string) error {
	r, err := t.claim(id)
	if err != nil {
		return err
	}
	if r != nil && r.Session != t.fleet.Session() {
		return fmt.Errorf("%w: %s has claimed it", tokenstore.ErrClaimed, nodeName(r.Node))
	}
	return nil
}

func nodeName(node string) string {
	if node == "" {
		return "a gateway without JIRAGATE_NODE"
	}
	return "gateway " + node
}

// takeClaim makes the rotation that is to be noted this process's to send.
func (t *Change) takeClaim(note *rotationRecord, stood bool) (tokenstore.Claim, error) {
	if t.fleet == nil {
		return tokenstore.NewClaim(note.rotation(), stood, 0, nil), nil
	}
	note.Fence = t.fleet.Fence()
	err := t.put(Claims, note.Connection, &claimRecord{note.Connection, t.fleet.Session(), t.fleet.Node(), note.Fence})
	return tokenstore.NewClaim(note.rotation(), stood, note.Fence, t.fleet.Lease()), err
}

// follows reports whether a claim was taken since this one, of which the note tells, too,
// when that one has lapsed or was given up.
func (t *Change) follows(c *tokenstore.Claim) (bool, error) {
	if t.fleet == nil {
		return false, nil
	}
	r, err := t.claim(c.Connection)
	if err != nil {
		return false, err
	}
	note, err := readRotation(t, c.Connection)
	if err != nil {
		return false, err
	}
	return r != nil && r.Fence != c.Fence || note != nil && note.Fence > c.Fence, nil
}

// dropClaim ends the claim of a connection, whoever has it.
func (t *Change) dropClaim(id string) error {
	r, err := t.claim(id)
	if r == nil || err != nil {
		return err
	}
	return t.Delete(Claims, id)
}
