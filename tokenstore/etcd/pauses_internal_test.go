package etcd

import (
	"testing"
	"time"
)

// What is below the prefix others may have written.
func FuzzPause(f *testing.F) {
	f.Add("app", []byte(`{"until":"2026-03-01T09:00:00Z","left_ms":60000,"node":"a"}`))
	f.Add("", []byte(`{}`))
	f.Add("endless", []byte(`{"until":"9999-12-31T23:59:59Z","left_ms":9223372036854775807}`))
	f.Add("past", []byte(`{"until":"0001-01-01T00:00:01Z","left_ms":1}`))
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		until, err := decodePause(name, value, now)
		if err == nil && until.Sub(now) > maxPause {
			t.Errorf("%q %q pauses for %s", name, value, until.Sub(now))
		}
		if err == nil && (len(name) == 0 || len(name) > maxPauseName) {
			t.Errorf("a name of %d bytes", len(name))
		}
	})
}
