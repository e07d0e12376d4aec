package audit

import (
	"errors"
	"strings"
	"time"
)

// ParseTime reads a time as people give it to limit a [Filter]: RFC 3339, a date (its
// beginning in UTC), or a duration before now. Nothing gives the zero time.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 && !strings.HasPrefix(s, "+") {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("use a time like 2026-01-31T12:00:00Z, a date like 2026-01-31, or a duration like 24h")
}
