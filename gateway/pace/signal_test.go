package pace_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/pace"
)

var at1025 = time.Date(2026, 3, 26, 16, 25, 20, 0, time.UTC)

func TestHowLongJiraAsksToWait(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		head   string // field: value, one a line
		want   time.Duration
	}{
		{"seconds", 429, "Retry-After: 5", 5 * time.Second},
		{"nothing said", 429, "", time.Second},
		{"at once", 429, "Retry-After: 0", time.Second},
		{"blanks around", 429, "Retry-After:  5\t", 5 * time.Second},
		{"HTTP-date", 429, "Retry-After: Thu, 26 Mar 2026 16:26:00 GMT", 40 * time.Second},
		{"HTTP-date, RFC 850", 429, "Retry-After: Thursday, 26-Mar-26 16:26:00 GMT", 40 * time.Second},
		{"HTTP-date, asctime", 429, "Retry-After: Thu Mar 26 16:26:00 2026", 40 * time.Second},
		{"HTTP-date in the past", 429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", time.Second},
		{"a year", 429, "Retry-After: 31536000", time.Hour},
		{"more than an integer holds", 429, "Retry-After: 99999999999999999999999999", time.Hour},
		{"year 9999", 429, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", time.Hour},
		{"leading zeros", 429, "Retry-After: 0000000000000000000000000007", 7 * time.Second},
		{"several lines: the longest", 429, "Retry-After: 5\nRetry-After: x\nRetry-After: 9\nRetry-After: 7", 9 * time.Second},
		{"lines beyond the eighth", 429, strings.Repeat("Retry-After: x\n", 8) + "Retry-After: 9", time.Second},
		{"a line of a megabyte", 429, "Retry-After: " + strings.Repeat("0", 1<<20) + "9", time.Second},

		{"negative, then the reset", 429, "Retry-After: -5\nX-RateLimit-Reset: 2026-03-26T16:26Z", 40 * time.Second},
		{"fraction, then the reset", 429, "Retry-After: 1.5\nX-RateLimit-Reset: 2026-03-26T16:26Z", 40 * time.Second},
		{"signed, then the reset", 429, "Retry-After: +5\nX-RateLimit-Reset: 2026-03-26T16:26Z", 40 * time.Second},
		{"list, then the reset", 429, "Retry-After: 5, 6\nX-RateLimit-Reset: 2026-03-26T16:26Z", 40 * time.Second},
		{"reset with seconds", 429, "X-RateLimit-Reset: 2026-03-26T16:25:30Z", 10 * time.Second},
		{"reset with a zone", 429, "X-RateLimit-Reset: 2026-03-26T17:26+01:00", 40 * time.Second},
		{"reset in Unix seconds", 429, fmt.Sprintf("X-RateLimit-Reset: %d", at1025.Unix()+12), 12 * time.Second},
		{"reset in Unix milliseconds is none", 429, fmt.Sprintf("X-RateLimit-Reset: %d\nX-RateLimit-Interval-Seconds: 3", at1025.UnixMilli()+12), 3 * time.Second},
		{"Retry-After before the reset", 429, "Retry-After: 2\nX-RateLimit-Reset: 2026-03-26T16:26Z", 2 * time.Second},
		// Seen at Atlassian: the beginning of the hour instead of its end.
		{"reset in the past is none", 429, "X-RateLimit-Reset: 2026-03-26T16:00Z\nX-RateLimit-Interval-Seconds: 3", 3 * time.Second},
		{"reset as a number of seconds is none", 429, "X-RateLimit-Reset: 30", time.Second},
		{"interval", 429, "X-RateLimit-Interval-Seconds: 30", 30 * time.Second},
		{"interval of nothing", 429, "X-RateLimit-Interval-Seconds: 0", time.Second},
		{"interval that is absurd", 429, "X-RateLimit-Interval-Seconds: -1", time.Second},

		{"unavailable", 503, "Retry-After: 30", 0},
		{"unavailable, and no tokens left", 503, "Retry-After: 30\nX-RateLimit-Remaining: 0", 0},
		{"redirect", 302, "Retry-After: 30", 0},
		{"tokens left", 200, "Retry-After: 0\nX-RateLimit-Remaining: 9", 0},
		{"last token", 200, "Retry-After: 4\nX-RateLimit-Remaining: 0", 4 * time.Second},
		{"last token, on an error", 404, "Retry-After: 4\nX-RateLimit-Remaining: 0", 4 * time.Second},
		{"last token, but already new ones", 200, "Retry-After: 0\nX-RateLimit-Remaining: 0", 0},
		{"last token, no word of waiting", 200, "X-RateLimit-Remaining: 0\nX-RateLimit-Interval-Seconds: 30", 0},
		{"remainder that is none", 200, "Retry-After: 4\nX-RateLimit-Remaining:", 0},
	} {
		s := pace.ReadSignal(test.status, header(test.head), at1025)
		if s.Wait != test.want || s.Spent != (test.status != 429 && test.want > 0) {
			t.Errorf("%s: %+v, want %s", test.name, s, test.want)
		}
	}
}

// header makes the map of net/http of "field: value" lines.
func header(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		h.Add(name, value)
	}
	return h
}

func TestWhatIsLeftOfTheAppsPoints(t *testing.T) {
	for _, test := range []struct {
		name string
		head string
		told bool
		left int64
		at   time.Duration
	}{
		{"the app's", `Beta-RateLimit: "global-app-quota";r=64000;t=1800`, true, 64000, 30 * time.Minute},
		{"no reset", `Beta-RateLimit: "global-app-quota";r=1`, true, 1, 0},
		{"order of parameters", `Beta-RateLimit: "global-app-quota";t=5;x;r=2`, true, 2, 5 * time.Second},
		{"blanks where they may be", "Beta-RateLimit:   \"a\"; r=1 \t, \"global-app-quota\"; r=3;   t=5  ", true, 3, 5 * time.Second},
		{"the last of two parameters", `Beta-RateLimit: "global-app-quota";r=9;r=3`, true, 3, 0},
		{"a tenant's", `Beta-RateLimit: "tenant-app-quota";r=0;t=2788`, false, 0, 0},
		{"among others", `Beta-RateLimit: "a,\";b";r=0;t=1, "global-app-quota";r=7;t=2, tok;a=?1;b=1.5;c=:aGk=:`, true, 7, 2 * time.Second},
		{"several lines: the smallest", "Beta-RateLimit: \"global-app-quota\";r=7;t=2\nBeta-RateLimit: \"global-app-quota\";r=5;t=3", true, 5, 3 * time.Second},
		{"a broken line", "Beta-RateLimit: \"global-app-quota\";r=7;t=2,\nBeta-RateLimit: \"global-app-quota\";r=9", true, 9, 0},
		{"negative", `Beta-RateLimit: "global-app-quota";r=-1;t=5`, false, 0, 0},
		{"string", `Beta-RateLimit: "global-app-quota";r="1";t=5`, false, 0, 0},
		{"larger than an Integer", `Beta-RateLimit: "global-app-quota";r=1000000000000000`, false, 0, 0},
		{"no remainder", `Beta-RateLimit: "global-app-quota";t=5`, false, 0, 0},
		{"reset that is none", `Beta-RateLimit: "global-app-quota";r=1;t=-5`, true, 1, 0},
		{"token instead of string", `Beta-RateLimit: global-app-quota;r=1`, false, 0, 0},
		{"string that does not end", `Beta-RateLimit: "global-app-quota;r=1`, false, 0, 0},
		{"blank before the semicolon", `Beta-RateLimit: "global-app-quota" ;r=1`, false, 0, 0},
		{"capital in a key", `Beta-RateLimit: "global-app-quota";R=1`, false, 0, 0},
		{"another field", `RateLimit: "global-app-quota";r=1`, false, 0, 0},
		{"empty", `Beta-RateLimit:`, false, 0, 0},
	} {
		s := pace.ReadSignal(200, header(test.head), at1025)
		if want := (pace.Signal{Told: test.told, AppLeft: test.left, AppReset: test.at}); s != want {
			t.Errorf("%s: %+v, want %+v", test.name, s, want)
		}
	}
}

// The app's remainder is found whatever else is in the list.
func TestTheRemainderIsFoundAmongOthers(t *testing.T) {
	item := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{`"tenant-app-quota"`, `"a\"b,c;d"`, "token", "12", "1.5", "?0"}).Draw(t, "name")
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			name += rapid.StringMatching(`;[a-z*][a-z0-9_.*-]{0,5}(=([0-9]{1,5}|"[ -!#-\[\]-~]{0,8}"|\?1|[A-Za-z]{1,5}))?`).Draw(t, "parameter")
		}
		return name
	})
	rapid.Check(t, func(t *rapid.T) {
		left, reset := rapid.Int64Range(0, 1e15-1).Draw(t, "left"), rapid.IntRange(0, 3600).Draw(t, "reset")
		list := rapid.SliceOfN(item, 0, 4).Draw(t, "others")
		at := rapid.IntRange(0, len(list)).Draw(t, "at")
		all := append(append(append([]string{}, list[:at]...), fmt.Sprintf(`"global-app-quota";r=%d;t=%d`, left, reset)), list[at:]...)
		line := strings.Join(all, rapid.SampledFrom([]string{",", ", ", " , ", "\t,\t"}).Draw(t, "comma"))
		s := pace.ReadSignal(429, http.Header{"Beta-Ratelimit": {line}}, at1025)
		if !s.Told || s.AppLeft != left || s.AppReset != time.Duration(reset)*time.Second {
			t.Fatalf("%q: %+v", line, s)
		}
	})
}

// Whatever Jira says: the wait is within bounds, only a 429 and a last token
// bring one, and a further line of Retry-After cannot make a wait that was asked
// for by one shorter.
func FuzzReadSignal(f *testing.F) {
	f.Add(429, "5", "0", "2026-03-26T16:26Z", "30", "jira-burst-based", `"global-app-quota";r=64000;t=1800`, int64(0))
	f.Add(200, "0", "9", "", "1", "", "", int64(1774542320))
	f.Add(200, "3", "0", "1774542330", "1", "", `"a";r=0, "global-app-quota";r=7`, int64(1774542320))
	f.Add(429, "Wed, 21 Oct 2015 07:28:00 GMT", "-1", "9999999999999", "99999999999999999999", "jira-quota-global-based", `;;;"`, int64(-1<<62))
	f.Add(503, "Fri, 31 Dec 9999 23:59:59 GMT", "0", "0001-01-01T00:00Z", "", "?", `"global-app-quota";r=`, int64(1<<40))
	f.Fuzz(func(t *testing.T, status int, retryAfter, remaining, reset, interval, reason, beta string, unix int64) {
		now := time.Unix(unix, 0)
		h := http.Header{
			"Retry-After": {retryAfter}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Reset": {reset},
			"X-Ratelimit-Interval-Seconds": {interval}, "Ratelimit-Reason": {reason}, "Beta-Ratelimit": {beta},
		}
		before := h.Clone()
		s := pace.ReadSignal(status, h, now)
		switch {
		case s.Wait < 0 || s.Wait > time.Hour:
			t.Errorf("wait %s", s.Wait)
		case status == 429 && (s.Wait < time.Second || s.Spent || s.Reach == ""):
			t.Errorf("429: %+v", s)
		case status != 429 && (s.Wait > 0) != s.Spent, s.Spent && status >= 500:
			t.Errorf("%d: %+v", status, s)
		case s.AppLeft < 0 || s.AppReset < 0 || s.AppReset > time.Hour, !s.Told && (s.AppLeft != 0 || s.AppReset != 0):
			t.Errorf("remainder %+v", s)
		case (s.Reach == pace.ReachApp) != (status == 429 && strings.TrimSpace(reason) == "jira-quota-global-based"):
			t.Errorf("reason %q reaches %s", reason, s.Reach)
		}
		only := pace.ReadSignal(status, http.Header{"Retry-After": {retryAfter}, "X-Ratelimit-Remaining": {remaining}}, now)
		both := pace.ReadSignal(status, http.Header{"Retry-After": {retryAfter, "7"}, "X-Ratelimit-Remaining": {remaining}}, now)
		if both.Wait < only.Wait {
			t.Errorf("Retry-After %q waits %s, with 7 besides %s", retryAfter, only.Wait, both.Wait)
		}
		if !reflect.DeepEqual(h, before) {
			t.Error("the head was changed")
		}
	})
}
