package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
)

// usedElsewhere is a store in which another gateway has sealed a record under a key.
type usedElsewhere struct {
	tokenstore.Store
	key uint32
}

func (s *usedElsewhere) KeyUse(ctx context.Context) (map[uint32]int, error) {
	use, err := s.Store.KeyUse(ctx)
	if err == nil && s.key != 0 {
		use[s.key]++
	}
	return use, err
}

// Where gateways may share the store, a key must be prepared before it becomes primary,
// and old ones go only if the caller says that nobody seals under them.
func TestKeysOfASharedStore(t *testing.T) {
	keys, err := keyset.Open(t.Context(), "file:"+filepath.Join(t.TempDir(), "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	file, err := bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(file.Check(context.Background()), file.Close()); err != nil {
			t.Error(err)
		}
	})
	store := &usedElsewhere{Store: file}
	o := options(t, store)
	o.Keys, o.SharedStore = keys, true
	o.CA = fakeCA()
	o.AuditKey.SealedUnder = func() ([]uint32, error) { return nil, fs.ErrNotExist }
	o.AuditKey.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
	o.Pseudonyms.SealedUnder = func() (uint32, error) { return 0, fs.ErrNotExist }
	o.Pseudonyms.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
	h := local(t, o)
	ask := func(path, body string, answer any) {
		t.Helper()
		if status, got := call(t, h, "POST", path, body); status != 200 || json.Unmarshal([]byte(got), answer) != nil {
			t.Fatalf("%s: %d %s", path, status, got)
		}
	}
	refused := func(path, body, hint string) {
		t.Helper()
		before := keys.Keys()
		status, got := call(t, h, "POST", path, body)
		if wantCode(t, got, admin.CodeConflict); status != 409 || !strings.Contains(got, hint) {
			t.Errorf("%s: %d %s, want a hint at %s", path, status, got, hint)
		}
		if !slices.Equal(keys.Keys(), before) {
			t.Errorf("%s was refused, and has changed the keyset", path)
		}
	}
	first := keys.PrimaryKeyID()
	refused("/v1/keys/rotate", "", "--prepare")

	var prepared, again admin.KeyPrepared
	ask("/v1/keys/prepare", "", &prepared)
	ask("/v1/keys/prepare", "", &again)
	if prepared != again || keys.PrimaryKeyID() != first {
		t.Errorf("prepared %v, and then %v; primary is %d, was %d", prepared, again, keys.PrimaryKeyID(), first)
	}
	var all []admin.Key
	if status, got := call(t, h, "GET", "/v1/keys", ""); status != 200 || json.Unmarshal([]byte(got), &all) != nil ||
		len(all) != 2 || all[0].Prepared || !all[1].Prepared || all[1].Primary || all[1].ID != prepared.ID || all[1].Records != 0 {
		t.Errorf("keys: %d %s", status, got)
	}

	// The prepared key isn't an old one.
	var dropped admin.Dropped
	refused("/v1/keys/drop", "", "--all-gateways-reloaded")
	if ask("/v1/keys/drop", `{"all_gateways_reloaded": true}`, &dropped); len(dropped.IDs) != 0 {
		t.Errorf("dropped %v", dropped.IDs)
	}

	// Another gateway has made it primary.
	store.key = prepared.ID
	refused("/v1/keys/rewrap", "", "jiragate key rotate")
	store.key = 0
	var rewrapped admin.Rewrapped
	ask("/v1/keys/rewrap", "", &rewrapped)

	var rotated admin.Rotated
	if ask("/v1/keys/rotate", "", &rotated); rotated.Primary != prepared.ID || keys.PrimaryKeyID() != prepared.ID {
		t.Errorf("primary is %d, prepared was %d", rotated.Primary, prepared.ID)
	}
	refused("/v1/keys/rotate", "{}", "--prepare")
	store.key = first
	ask("/v1/keys/rewrap", "", &rewrapped)
	refused("/v1/keys/drop", `{"all_gateways_reloaded": true}`, "jiragate key rewrap")
	store.key = 0
	if ask("/v1/keys/drop", `{"all_gateways_reloaded": true}`, &dropped); !slices.Equal(dropped.IDs, []uint32{first}) {
		t.Errorf("dropped %v, want %d", dropped.IDs, first)
	}
	if ask("/v1/keys/rotate", `{"at_once": true}`, &rotated); rotated.Primary == prepared.ID || len(keys.Keys()) != 2 {
		t.Errorf("primary is %d of %v", rotated.Primary, keys.Keys())
	}
}
