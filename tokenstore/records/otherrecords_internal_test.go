package records

import (
	"errors"
	"testing"

	"jiragate/tokenstore"
)

// Records that are no connections, clients or credentials: whatever the store holds, what
// is read of it is the record of its key, or the store is said to be damaged.
func FuzzDecodeOtherRecords(f *testing.F) {
	for _, seed := range []string{
		`{"connection":"acme","incarnation":1,"state":"active","since":"2026-01-02T03:04:05Z"}`,
		`{"connection":"acme","generation":1,"since":"2026-01-02T03:04:05Z"}`,
		`{"connection":"acme","id":"10001","key":"ACME-1","created_at":"2026-01-02T03:04:05Z","client":"billing"}`,
		`{"state":"filling","from":"a","to":"b"}`, `{"connection":"other"}`, `{}`, `{"connection":"acme"}x`, `null`,
	} {
		f.Add("acme", []byte(seed))
		f.Add("acme/10001", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		damaged := func(what string, err error) bool {
			if err != nil && !errors.Is(err, tokenstore.ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
			return err != nil
		}
		if a, err := decodeAnnouncement([]byte(key), b); !damaged("announcement", err) && a.Connection != key {
			t.Errorf("the announcement of %q is that of %q", key, a.Connection)
		}
		if r, err := decodeRotation([]byte(key), b); !damaged("rotation", err) && r.Connection != key {
			t.Errorf("the rotation of %q is that of %q", key, r.Connection)
		}
		if r, err := decodeIssue([]byte(key), b); !damaged("issue", err) && r.name() != key {
			t.Errorf("the issue %q is %q", key, r.name())
		}
		if m, err := DecodeMark(b); !damaged("mark", err) && m.State == "" {
			t.Error("a mark without a state")
		}
	})
}
