package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// Once a change has returned, nobody gets the credential from before: not while
// others read it all the time, nor whichever way it was changed.
func TestNoCallGetsACredentialThatWasReplaced(t *testing.T) {
	s := mustOpen(t, options(t))
	must(t, s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("0")))
	var present atomic.Uint64 // generation; 0: there may be none
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				before := present.Load()
				c, err := s.Credential(t.Context(), "acme")
				switch {
				case errors.Is(err, tokenstore.ErrNotFound) && before == 0:
				case err != nil && present.Load() == before:
					t.Error(err)
				case err == nil && c.Generation < before:
					t.Errorf("of generation %d, after %d was stored", c.Generation, before)
				}
			}
		})
	}
	last := ""
	for i := range 60 {
		d, _ := s.Directory().Connection("acme")
		c, err := s.Credential(t.Context(), "acme")
		must(t, err)
		switch i % 4 {
		case 0, 1:
			last = fmt.Sprint(i)
			must(t, s.ReplaceCredential(t.Context(), "acme", c.Generation, storetest.OAuth2(last)))
		case 2:
			must(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL = fmt.Sprintf("https://acme-%d.atlassian.net", i)
				return nil
			}))
		case 3:
			present.Store(0)
			must(t, s.RemoveConnection(t.Context(), "acme", d.Incarnation))
			if _, err := s.Credential(t.Context(), "acme"); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("after it was removed: %v", err)
			}
			last = fmt.Sprint(i)
			must(t, s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2(last)))
		}
		now, err := s.Credential(t.Context(), "acme")
		must(t, err)
		if now.Generation <= c.Generation || !now.AccessToken.Equal(storetest.OAuth2(last).AccessToken) {
			t.Fatalf("step %d: the credential of before", i)
		}
		present.Store(now.Generation)
	}
	stop.Store(true)
	readers.Wait()
}

// What is remembered says the same as the file, under more connections than are
// remembered, too.
func TestWhatIsRememberedIsWhatIsStored(t *testing.T) {
	s := mustOpen(t, options(t))
	for i := range 5 {
		id := fmt.Sprintf("customer-%d", i)
		must(t, s.AddConnection(t.Context(), storetest.CloudConnection(id), storetest.OAuth2(id)))
		read, err := s.Credential(t.Context(), id)
		must(t, err)
		remembered, err := s.Credential(t.Context(), id)
		must(t, err)
		if diff := cmp.Diff(bolt.Plain(read), bolt.Plain(remembered)); diff != "" {
			t.Error(diff)
		}
		if !s.Remembers(id) {
			t.Errorf("%s is not remembered", id)
		}
		must(t, s.SetState(t.Context(), id, tokenstore.StateDisabled, "once"))
		if s.Remembers(id) {
			t.Errorf("%s is remembered although it was changed", id)
		}
	}
}

// A store that is closed gives nothing, and one whose keyset has dropped a key nothing
// that was under it.
func TestNothingIsRememberedBeyondTheStoreAndItsKeyset(t *testing.T) {
	keys, err := keyset.Open(t.Context(), "file:"+filepath.Join(t.TempDir(), "keyset.json"), keyset.Options{Create: true})
	must(t, err)
	o := options(t)
	o.AEAD = keys
	s := mustOpen(t, o)
	must(t, s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	_, err = s.Credential(t.Context(), "acme")
	must(t, err)
	old := keys.PrimaryKeyID()
	_, err = keys.Rotate(t.Context())
	must(t, err)
	_, err = s.Credential(t.Context(), "acme")
	must(t, err)
	must(t, keys.Drop(t.Context(), old))
	if _, err := s.Credential(t.Context(), "acme"); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("after its key was dropped: %v", err)
	}

	other := mustOpen(t, options(t))
	must(t, other.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	_, err = other.Credential(t.Context(), "acme")
	must(t, err)
	mustClose(t, other)
	if _, err := other.Credential(t.Context(), "acme"); err == nil {
		t.Error("a store that is closed gives a credential")
	}
}
