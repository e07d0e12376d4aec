package keyset_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore/keyset"
)

// No key is younger than the time when the keyset was stored last.
func TestStored(t *testing.T) {
	uri := fileURI(t)
	l := openLive(t, uri, createFile)
	long := time.Now().Add(-1000 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(strings.TrimPrefix(uri, "file:"), long, long); err != nil {
		t.Fatal(err)
	}
	if at, ok := l.Stored(); !ok || !at.Equal(long) {
		t.Errorf("stored %s, %v; want %s", at, ok, long)
	}
	rotate(t, l)
	if at, ok := l.Stored(); !ok || time.Since(at) > time.Hour {
		t.Errorf("stored %s, %v, after a rotation", at, ok)
	}
	json, err := os.ReadFile(strings.TrimPrefix(uri, "file:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("STORED_TEST_KEYSET", string(json))
	if at, ok := openLive(t, "env:STORED_TEST_KEYSET", keyset.Options{}).Stored(); ok {
		t.Errorf("a keyset of the environment was stored %s", at)
	}
}
