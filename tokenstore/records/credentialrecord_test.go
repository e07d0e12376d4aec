package records_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore/records"
)

// What is decoded without reflection is what encoding/json makes of it.
func FuzzDecodeCredential(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"username":"u","password":"p\"q"}`, `{"token":"t"}`, `{"token":"t",}`, `{"token":"t"}x`,
		`{"access_token":"a","refresh_token":"r","expiry":"2026-01-02T03:04:05Z","scopes":["a","b]c"]}`,
		`{"scopes":["a","b"],"ends_at":"never"}`, `{"scopes":[]}`, `{"Token":"t"}`, `{"token":"a","token":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, whole, ok := records.DecodeBoth(b)
		if !ok {
			return
		}
		if diff := cmp.Diff(whole, plain); diff != "" {
			t.Errorf("%q: %s", b, diff)
		}
	})
}
