package pace

import (
	"strings"
	"time"
)

// Reach is what a pause is about.
type Reach string

const (
	ReachConnection Reach = "connection" // all calls of the connection
	ReachEndpoint   Reach = "endpoint"   // its calls of the same endpoint: method and path template
	ReachResource   Reach = "resource"   // its calls of the same resource
	ReachApp        Reach = "app"        // all calls of the app, of all connections
)

// reaches are Atlassian's values of RateLimit-Reason whose limit is narrower or
// wider than one customer's site
// (https://developer.atlassian.com/cloud/jira/platform/rate-limiting/). Any other,
// such as jira-quota-tenant-based, pauses the connection, as does none: Data
// Center sends none.
var reaches = map[string]Reach{
	"jira-quota-global-based": ReachApp,
	"jira-burst-based":        ReachEndpoint,
	"jira-per-issue-on-write": ReachResource,
}

// Signal is what an answer says about limits. The zero value says nothing.
type Signal struct {
	Wait  time.Duration // to pause for, at most an hour; 0: no pause
	Reach Reach         // of the pause
	// Spent: the call was answered, but with the last token of its user. Only Data
	// Center says so by these fields, so it means nothing of a call of the app.
	Spent bool

	// Told: the answer tells what is left of the app's points: AppLeft, which are
	// reset after AppReset (0: not told).
	Told     bool
	AppLeft  int64
	AppReset time.Duration
}

// Pauses reports whether the signal, which came with the answer to c, asks for a
// pause.
func (s Signal) Pauses(c Call) bool { return s.Wait > 0 && !(s.Spent && c.App) }

// Field names are in the canonical form of MIME header keys.
const (
	fieldRetryAfter = "Retry-After"
	fieldRemaining  = "X-Ratelimit-Remaining"
	fieldReset      = "X-Ratelimit-Reset"
	fieldInterval   = "X-Ratelimit-Interval-Seconds"
	fieldReason     = "Ratelimit-Reason"
	fieldBeta       = "Beta-Ratelimit"
)

// ReadSignal reads what an answer's head says, with keys of h in the canonical
// form of net/http. now is the wall clock.
//
// A 429 always pauses, for a second at least: as long as Retry-After says, else
// until X-RateLimit-Reset, else for X-RateLimit-Interval-Seconds. Another answer
// below 500 pauses if X-RateLimit-Remaining is 0 and Retry-After is more: Data
// Center sends these with every answer.
//
// What is malformed or negative is passed over. Where a field came more than
// once, the longest wait and the smallest remainder count: to be too polite costs
// little.
func ReadSignal(status int, h map[string][]string, now time.Time) Signal {
	var s Signal
	if left, reset, ok := appRemainder(h[fieldBeta]); ok {
		s.Told, s.AppLeft, s.AppReset = true, left, reset
	}
	switch {
	case status == 429:
		s.Wait, s.Reach = max(asked(h, now), minPause), reach(h[fieldReason])
	case status < 500 && spent(h[fieldRemaining]):
		if wait, _ := longest(h[fieldRetryAfter], retryAfter(now)); wait > 0 {
			s.Wait, s.Reach, s.Spent = wait, ReachConnection, true
		}
	}
	return s
}

// asked is how long a 429 asks to wait, 0 if it does not say.
func asked(h map[string][]string, now time.Time) time.Duration {
	if wait, ok := longest(h[fieldRetryAfter], retryAfter(now)); ok {
		return wait
	}
	if wait, ok := longest(h[fieldReset], reset(now)); ok {
		return wait
	}
	wait, _ := longest(h[fieldInterval], seconds)
	return wait
}

// reach is that of the first reason known.
func reach(reasons []string) Reach {
	for _, reason := range bounded(reasons) {
		if r, ok := reaches[strings.TrimSpace(reason)]; ok {
			return r
		}
	}
	return ReachConnection
}

func spent(remaining []string) bool {
	for _, line := range bounded(remaining) {
		if n, ok := digits(strings.TrimSpace(line)); ok && n == 0 {
			return true
		}
	}
	return false
}

// longest is the longest wait of the lines that can be read, at most maxPause;
// ok says that there is one.
func longest(lines []string, read func(string) (time.Duration, bool)) (wait time.Duration, ok bool) {
	for _, line := range bounded(lines) {
		if len(line) > maxFieldBytes {
			continue
		}
		if w, valid := read(strings.TrimSpace(line)); valid {
			wait, ok = max(wait, min(w, maxPause)), true
		}
	}
	return wait, ok
}

func bounded(lines []string) []string { return lines[:min(len(lines), maxFieldLines)] }

// seconds reads a number of seconds.
func seconds(line string) (time.Duration, bool) {
	n, ok := digits(line)
	return time.Duration(min(n, int64(maxPause/time.Second))) * time.Second, ok
}

// retryAfter reads seconds or an HTTP-date (RFC 9110 section 10.2.3) in one of
// its three forms (section 5.6.7). A date that is past asks for no wait.
func retryAfter(now time.Time) func(string) (time.Duration, bool) {
	return func(line string) (time.Duration, bool) {
		if wait, ok := seconds(line); ok {
			return wait, true
		}
		for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
			if at, err := time.Parse(layout, line); err == nil {
				return max(0, at.Sub(now)), true
			}
		}
		return 0, false
	}
}

// reset reads a time in ISO 8601, of which Atlassian leaves out the seconds, or
// in Unix seconds. A time that is past is no answer: Jira has been seen to name
// the beginning of the hour.
func reset(now time.Time) func(string) (time.Duration, bool) {
	return func(line string) (time.Duration, bool) {
		if n, ok := digits(line); ok {
			// Later than any wait for it can last, and what else is so large is no time
			// in seconds.
			wait := time.Unix(n, 0).Sub(now)
			return wait, n < 1e11 && wait > 0
		}
		for _, layout := range [...]string{"2006-01-02T15:04Z07:00", time.RFC3339} {
			if at, err := time.Parse(layout, line); err == nil {
				return at.Sub(now), at.After(now)
			}
		}
		return 0, false
	}
}

// digits reads 1*DIGIT. What is larger than 18 digits is the largest that is
// not.
func digits(s string) (int64, bool) {
	const most = 999_999_999_999_999_999
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > most/10 {
			n = most
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return min(n, most), s != ""
}
