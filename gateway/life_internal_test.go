package gateway

import (
	"testing"
	"time"
)

// A client that takes a byte now and then is cut, however small the pieces are; one
// that takes what there is may take hours, if Jira does.
func TestSlowReaderRunsOutOfPatience(t *testing.T) {
	for _, tt := range []struct {
		name  string
		piece int
		each  time.Duration
		cut   bool
	}{
		{"one byte in 30 s", 1, 30 * time.Second, true},
		{"32 KiB in 50 s", 32 << 10, 50 * time.Second, true},
		{"100 bytes in 1 s", 100, time.Second, true},
		{"32 KiB in 31 s", 32 << 10, 31 * time.Second, false},
		{"2 KiB a second", 2 << 10, time.Second, false},
		{"one byte, at once", 1, 0, false},
	} {
		var r reader
		cut := false
		for range 10_000 {
			if r.patience() < tt.each {
				cut = true
				break
			}
			r.took(tt.piece, tt.each)
		}
		if cut != tt.cut {
			t.Errorf("%s: cut %v", tt.name, cut)
		}
	}
	if r := (reader{taken: 1 << 40}); r.patience() != writeTimeout {
		t.Error("one piece may take longer than writeTimeout")
	}
}
