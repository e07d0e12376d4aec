package audit

import (
	"testing"
	"time"
)

func TestClockThatJumpsAheadMakesNothingOlder(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hour := began.Add(time.Hour)
	for name, tt := range map[string]struct{ now, want time.Time }{
		"as time passes":     {hour, hour},
		"a jump ahead":       {hour.AddDate(2, 0, 0), hour},
		"a jump back":        {hour.AddDate(0, 0, -2), hour.AddDate(0, 0, -2)},
		"a correction ahead": {hour.Add(time.Second), hour},
	} {
		if got := agedBy(tt.now, began, time.Hour); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
