package audit

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		in   string
		want time.Time
		ok   bool
	}{
		{"", time.Time{}, true},
		{"24h", now.Add(-24 * time.Hour), true},
		{"2026-01-30", time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC), true},
		{"2026-01-30T10:00:00+02:00", time.Date(2026, 1, 30, 8, 0, 0, 0, time.UTC), true},
		{"-24h", time.Time{}, false},
		{"+24h", time.Time{}, false},
		{"yesterday", time.Time{}, false},
		{"24", time.Time{}, false},
	} {
		got, err := ParseTime(tt.in, now)
		if (err == nil) != tt.ok || !got.Equal(tt.want) {
			t.Errorf("%q: %v, %v", tt.in, got, err)
		}
	}
}
