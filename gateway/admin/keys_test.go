package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
)

// fakeKeys can't be changed.
type fakeKeys struct{ err error }

func (k *fakeKeys) Keys() []keyset.KeyInfo {
	return []keyset.KeyInfo{{ID: 7, Status: "enabled"}, {ID: 8, Primary: true, Status: "enabled"}}
}
func (k *fakeKeys) Prepare(context.Context) (uint32, error) { return 0, k.err }
func (k *fakeKeys) Promote(context.Context) (uint32, error) { return 0, k.err }
func (k *fakeKeys) Rotate(context.Context) (uint32, error)  { return 0, k.err }
func (k *fakeKeys) Drop(context.Context, ...uint32) error   { return k.err }

func TestKeys(t *testing.T) {
	keys, err := keyset.Open(t.Context(), "file:"+filepath.Join(t.TempDir(), "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Check(context.Background()), store.Close()); err != nil {
			t.Error(err)
		}
	})
	first := keys.PrimaryKeyID()
	ca, next := first, first
	o := options(t, store)
	o.Keys = keys
	o.CA = fakeCA()
	o.CA.SealedUnder = func() ([]uint32, error) { return []uint32{ca, next}, nil }
	o.CA.Reseal = func() (bool, error) {
		changed := ca != keys.PrimaryKeyID()
		ca, next = keys.PrimaryKeyID(), keys.PrimaryKeyID()
		return changed, nil
	}
	signs := first
	o.AuditKey.SealedUnder = func() ([]uint32, error) { return []uint32{signs}, nil }
	o.AuditKey.Reseal = func() (bool, error) {
		changed := signs != keys.PrimaryKeyID()
		signs = keys.PrimaryKeyID()
		return changed, nil
	}
	pseudonyms := first
	o.Pseudonyms.SealedUnder = func() (uint32, error) { return pseudonyms, nil }
	o.Pseudonyms.Reseal = func() (bool, error) {
		changed := pseudonyms != keys.PrimaryKeyID()
		pseudonyms = keys.PrimaryKeyID()
		return changed, nil
	}
	h := local(t, o)
	for i := range 120 { // more than a batch
		body := strings.Replace(basicConnection, `"globex"`, fmt.Sprintf(`"c%d"`, i), 1)
		if status, answer := call(t, h, "POST", "/v1/connections", body); status != 201 {
			t.Fatalf("adding: %d %s", status, answer)
		}
	}
	list := func() []admin.Key {
		t.Helper()
		var all []admin.Key
		if status, body := call(t, h, "GET", "/v1/keys", ""); status != 200 || json.Unmarshal([]byte(body), &all) != nil {
			t.Fatalf("keys: %d %s", status, body)
		}
		return all
	}
	if all := list(); len(all) != 1 || !all[0].Primary || all[0].Records < 120 || !all[0].CAKey || !all[0].AuditKey || !all[0].PseudonymKey {
		t.Errorf("keys %+v", all)
	}

	var rotated admin.Rotated
	if status, body := call(t, h, "POST", "/v1/keys/rotate", ""); status != 200 || json.Unmarshal([]byte(body), &rotated) != nil || rotated.Primary != keys.PrimaryKeyID() || rotated.Primary == first {
		t.Errorf("rotate: %d %s", status, body)
	}
	status, body := call(t, h, "POST", "/v1/keys/drop", "")
	if wantCode(t, body, admin.CodeConflict); status != 409 || !strings.Contains(body, "in use") {
		t.Errorf("dropping a key in use: %d %s", status, body)
	}
	var lefts []int
	for {
		var r admin.Rewrapped
		status, body := call(t, h, "POST", "/v1/keys/rewrap", "")
		if status != 200 || json.Unmarshal([]byte(body), &r) != nil || r.CAKey != (r.Left == 0) {
			t.Fatalf("rewrap: %d %s", status, body)
		}
		lefts = append(lefts, r.Left)
		if r.Left == 0 {
			break
		}
	}
	if len(lefts) < 2 || !slices.IsSortedFunc(lefts, func(a, b int) int { return b - a }) {
		t.Errorf("left after each batch: %v", lefts)
	}
	if all := list(); len(all) != 2 || all[0].Records != 0 || all[0].CAKey || all[0].AuditKey || all[0].PseudonymKey || all[1].Records < 120 || !all[1].CAKey || !all[1].AuditKey || !all[1].PseudonymKey {
		t.Errorf("keys %+v", all)
	}
	var dropped admin.Dropped
	if status, body := call(t, h, "POST", "/v1/keys/drop", ""); status != 200 || json.Unmarshal([]byte(body), &dropped) != nil || !slices.Equal(dropped.IDs, []uint32{first}) {
		t.Errorf("drop: %d %s", status, body)
	}
	if status, body := call(t, h, "POST", "/v1/keys/drop", ""); status != 200 || strings.TrimSpace(body) != `{"dropped":[]}` {
		t.Errorf("drop again: %d %s", status, body)
	}
	if all := list(); len(all) != 1 {
		t.Errorf("keys %+v", all)
	}
}

func TestKeysThatCannotBeChanged(t *testing.T) {
	store, _ := openStore(t)
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"read only", fmt.Errorf("rotating: %w", keyset.ErrReadOnly), 409, admin.CodeConflict},
		{"changed by another", fmt.Errorf("rotating: %w", keyset.ErrChanged), 409, admin.CodeConflict},
		{"disk full", errors.New("no space left on device"), 500, admin.CodeInternal},
	} {
		o := options(t, store)
		o.Keys = &fakeKeys{tt.err}
		o.CA = fakeCA()
		o.CA.Reseal = func() (bool, error) { return false, errors.New("no CA key") }
		o.AuditKey.SealedUnder = func() ([]uint32, error) { return nil, fs.ErrNotExist }
		o.AuditKey.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
		o.Pseudonyms.SealedUnder = func() (uint32, error) { return 0, fs.ErrNotExist }
		o.Pseudonyms.Reseal = func() (bool, error) { return false, fs.ErrNotExist }
		h := local(t, o)
		for _, path := range []string{"/v1/keys/prepare", "/v1/keys/rotate", "/v1/keys/drop"} {
			status, body := call(t, h, "POST", path, "")
			if wantCode(t, body, tt.code); status != tt.status {
				t.Errorf("%s, %s: %d", tt.name, path, status)
			}
		}
		if status, _ := call(t, h, "POST", "/v1/keys/rewrap", ""); status != 500 {
			t.Errorf("rewrap without a CA key: %d", status)
		}
		o.CA.SealedUnder = func() ([]uint32, error) { return []uint32{8, 7}, nil } // as where a root is prepared
		if status, body := call(t, local(t, o), "POST", "/v1/keys/drop", ""); status != 409 || !strings.Contains(body, "CA key: true") {
			t.Errorf("dropping the key of the CA: %d %s", status, body)
		}
		o.CA.SealedUnder = func() ([]uint32, error) { return nil, nil }
		o.AuditKey.SealedUnder = func() ([]uint32, error) { return []uint32{6, 7}, nil }
		if status, body := call(t, local(t, o), "POST", "/v1/keys/drop", ""); status != 409 || !strings.Contains(body, "audit key: true") {
			t.Errorf("dropping the key of the audit key: %d %s", status, body)
		}
	}
	h := local(t, options(t, store))
	for _, request := range []string{"GET /v1/keys", "POST /v1/keys/prepare", "POST /v1/keys/rotate", "POST /v1/keys/rewrap", "POST /v1/keys/drop", "GET /v1/ca", "POST /v1/ca/prepare", "POST /v1/ca/rotate"} {
		method, path, _ := strings.Cut(request, " ")
		status, body := call(t, h, method, path, "")
		if wantCode(t, body, admin.CodeUnavailable); status != 503 {
			t.Errorf("%s without a keyset: %d", request, status)
		}
	}
}
