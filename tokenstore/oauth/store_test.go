package oauth

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

// watchedStore is a real store that notes what becomes of it, and fails on
// request.
type watchedStore struct {
	*bolt.Store

	mu          sync.Mutex
	committed   []string // access tokens that are on disk
	failReplace []error  // one a call
	failBegin   []error  // likewise
	failState   error

	beforeCredential, beforeReplace, beforeState, beforeUpdate func()

	skew time.Duration // of what is read, from the clock that wrote it
}

// newStore holds one active Cloud connection "acme" whose access token ends
// after left.
func newStore(t testing.TB, left time.Duration) *watchedStore {
	t.Helper()
	s := openBolt(t)
	t.Cleanup(func() {
		if err := s.Check(context.Background()); err != nil {
			t.Errorf("the store after the test: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &watchedStore{Store: s}
	w.add(t, "acme", left)
	return w
}

// openBolt returns an empty store.
func openBolt(t testing.TB) *bolt.Store {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyset.Open(t.Context(), "file:"+filepath.Join(dir, "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(dir, "store.db"), AEAD: keys, LockTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *watchedStore) add(t testing.TB, id string, left time.Duration) {
	t.Helper()
	err := s.AddConnection(t.Context(), tokenstore.Connection{
		ID: id, Edition: policy.Cloud, SiteURL: "https://" + id + ".atlassian.net",
		CloudID: "11111111-2222-3333-4444-555555555555", Region: tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth2,
	}, tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: secret.New(accessToken(0)), RefreshToken: secret.New(refreshToken(0)),
		Expiry: time.Now().Add(left).UTC(), Scopes: []string{"read:jira-work"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *watchedStore) ReplaceCredential(ctx context.Context, id string, generation uint64, c tokenstore.Credential) error {
	return s.replaced(c, func() error { return s.Store.ReplaceCredential(ctx, id, generation, c) })
}

func (s *watchedStore) FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error {
	return s.replaced(c, func() error { return s.Store.FinishRotation(ctx, claim, c) })
}

// replaced is either way of storing a new credential.
func (s *watchedStore) replaced(c tokenstore.Credential, do func() error) error {
	s.mu.Lock()
	var err error
	if len(s.failReplace) > 0 {
		err, s.failReplace = s.failReplace[0], s.failReplace[1:]
	}
	before := s.beforeReplace
	s.mu.Unlock()
	if before != nil {
		before()
	}
	if err == nil {
		err = do()
	}
	if err == nil {
		s.mu.Lock()
		s.committed = append(s.committed, c.AccessToken.Reveal())
		s.mu.Unlock()
	}
	return err
}

func (s *watchedStore) Credential(ctx context.Context, id string) (tokenstore.Credential, error) {
	if s.beforeCredential != nil {
		s.beforeCredential()
	}
	c, err := s.Store.Credential(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.Expiry.IsZero() {
		c.Expiry = c.Expiry.Add(s.skew)
	}
	return c, err
}

func (s *watchedStore) BeginRotation(ctx context.Context, id string, generation uint64) (tokenstore.Claim, error) {
	s.mu.Lock()
	var err error
	if len(s.failBegin) > 0 {
		err, s.failBegin = s.failBegin[0], s.failBegin[1:]
	}
	s.mu.Unlock()
	if err != nil {
		return tokenstore.Claim{}, err
	}
	return s.Store.BeginRotation(ctx, id, generation)
}

// standing returns the notes of rotations that stand.
func (s *watchedStore) standing(t *testing.T) []tokenstore.Rotation {
	t.Helper()
	r, err := s.Rotations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *watchedStore) UpdateConnection(ctx context.Context, id string, change func(*tokenstore.Connection) error) error {
	if s.beforeUpdate != nil {
		s.beforeUpdate()
	}
	return s.Store.UpdateConnection(ctx, id, change)
}

func (s *watchedStore) RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error {
	s.mu.Lock()
	err := s.failState
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if s.beforeState != nil {
		s.beforeState()
	}
	return s.Store.RequireReauthorisation(ctx, id, generation, reason)
}

func (s *watchedStore) isCommitted(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.committed, token)
}

func (s *watchedStore) failNextReplace(errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failReplace = errs
}

func (s *watchedStore) credential(t *testing.T) tokenstore.Credential {
	t.Helper()
	c, err := s.Store.Credential(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *watchedStore) connection(t *testing.T) *tokenstore.Connection {
	t.Helper()
	return s.connectionOf(t, "acme")
}

func (s *watchedStore) connectionOf(t *testing.T, id string) *tokenstore.Connection {
	t.Helper()
	c, ok := s.Directory().Connection(id)
	if !ok {
		t.Fatalf("connection %s is gone", id)
	}
	return c
}

// firstGeneration is that with which the credential of "acme" began.
func (s *watchedStore) firstGeneration(t *testing.T) uint64 {
	t.Helper()
	return tokenstore.FirstGeneration(s.connection(t).Incarnation)
}
