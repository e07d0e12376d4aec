package records

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"jiragate/tokenstore"
)

// The bound of recent: sets times ways. An entry takes about 2 KB beside its
// ciphertext, which has the size of the credential, so that all of them take 40 MB
// at most where tokens are long. More connections than that in use at once are
// read from the file now and then, as all were before.
const (
	recentSets = 2048
	recentWays = 4
)

// recent has what was read last to open credentials, so that a call costs one
// decryption: the ciphertext, and the data key in memory. Never the plaintext.
//
// That something is in it means that no change to it has begun: a transaction that
// writes to a record of a connection empties its set before that, and keeps it
// empty until it has ended, whichever way. Meanwhile, and where nothing is there,
// the file is read. So nobody gets what the file would not have given at that
// moment.
type recent struct {
	seed maphash.Seed
	sets [recentSets]recentSet
}

type recentSet struct {
	ways [recentWays]atomic.Pointer[sealedCredential]

	mu       sync.Mutex // held to change anything of the set
	version  uint64     // another one when a change begins, and when it has ended
	changing bool       // nothing may be put in
	next     int        // the way to use next, where all are taken
}

func newRecent() *recent { return &recent{seed: maphash.MakeSeed()} }

func (r *recent) set(id string) *recentSet {
	return &r.sets[maphash.String(r.seed, id)%recentSets]
}

// get takes no lock.
func (r *recent) get(id string, keyset uint64) *sealedCredential {
	s := r.set(id)
	for i := range s.ways {
		if c := s.ways[i].Load(); c != nil && c.id == id && c.keyset == keyset {
			return c
		}
	}
	return nil
}

// look returns what put needs. It is called before the file is read.
func (r *recent) look(id string) (version uint64) {
	s := r.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// put puts in what was read since look, unless a change has begun meanwhile.
func (r *recent) put(c *sealedCredential, version uint64) {
	s := r.set(c.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changing || s.version != version {
		return
	}
	at := -1
	for i := range s.ways {
		switch present := s.ways[i].Load(); {
		case present != nil && present.id == c.id:
			s.ways[i].Store(c)
			return
		case present == nil && at < 0:
			at = i
		}
	}
	if at < 0 {
		at, s.next = s.next, (s.next+1)%recentWays
	}
	s.ways[at].Store(c)
}

// begin empties the set of a connection that is about to change.
func (r *recent) begin(id string) {
	s := r.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
	s.changing = true
}

// end follows begin when the transaction has ended. One end is enough.
func (r *recent) end(id string) {
	s := r.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++ // who has looked meanwhile may have read either
	s.changing = false
}

// close empties all sets for good.
func (r *recent) close() {
	for i := range r.sets {
		s := &r.sets[i]
		s.mu.Lock()
		s.empty()
		s.changing = true
		s.mu.Unlock()
	}
}

func (s *recentSet) empty() {
	s.version++
	for i := range s.ways {
		s.ways[i].Store(nil)
	}
}

// Versioned is what a keyset may implement that changes while it is in use: the
// version is another one after each change. What a key has opened is then not used
// again once the keyset has changed.
type Versioned interface{ Version() uint64 }

func (s *Store) keysetVersion() uint64 {
	if v, ok := s.aead.(Versioned); ok {
		return v.Version()
	}
	return 0
}

// Credential returns the present credential of a connection.
func (s *Store) Credential(ctx context.Context, id string) (tokenstore.Credential, error) {
	if err := s.engine.Usable(); err != nil {
		return tokenstore.Credential{}, fmt.Errorf("reading the credential of connection %s: %w", id, err)
	}
	keyset := s.keysetVersion()
	c := s.recent.get(id, keyset)
	if c == nil || ctx.Err() != nil {
		var err error
		if c, err = s.readSealed(ctx, id, keyset); err != nil {
			return tokenstore.Credential{}, err
		}
	}
	opened, err := c.open()
	if err != nil {
		return tokenstore.Credential{}, fmt.Errorf("reading the credential of connection %s: %w", id, err)
	}
	return opened, nil
}

// readSealed reads a credential from the file, and remembers it as it is there.
func (s *Store) readSealed(ctx context.Context, id string, keyset uint64) (*sealedCredential, error) {
	version := s.recent.look(id)
	var c *sealedCredential
	err := s.view(ctx, "reading the credential of connection "+id, func(tx Reader) error {
		r, err := readConnection(tx, id)
		if err != nil {
			return err
		}
		c, err = findCredential(tx, s.aead, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.keyset = keyset
	s.recent.put(c, version)
	return c, nil
}
