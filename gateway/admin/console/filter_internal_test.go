package console

import (
	"net/url"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)

// A form sends each field, also the empty ones; what goes to colleagues is tidy.
func TestTidy(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"decision=deny&kind=call", ""},
		{"connection=acme&client=&operation=&since=&until=", "connection=acme"},
		{"client=&day=Yesterday&connection=acme", "connection=acme&since=2026-11-26T00%3A00&until=2026-11-27T00%3A00"},
		{"day=Today&since=2026-11-01T00:00&until=2026-11-02T00:00", "since=2026-11-27T00%3A00&until=2026-11-28T00%3A00"},
		{"day=Any+time&since=2026-11-01T00:00&until=2026-11-02T00:00&text=x", "text=x"},
		{"day=Doomsday&text=x", "text=x"},
	} {
		q, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		got, changed := tidy(q, noon)
		if changed != (test.want != "") || changed && got.Encode() != test.want {
			t.Errorf("%s: %s %v, want %q", test.query, got.Encode(), changed, test.want)
		}
		if again, changed := tidy(got, noon); changed {
			t.Errorf("%s: tidied again to %s", test.query, again.Encode())
		}
	}
}

// What the address says is what is asked for, and no more.
func TestFilterRoundTrip(t *testing.T) {
	q := url.Values{
		"kind": {"call"}, "decision": {"deny"}, "connection": {"acme"}, "client": {"billing"}, "operation": {"issue.create"},
		"code": {"not_granted"}, "status": {"403"}, "text": {"a&b=c"}, "since": {"2026-11-26T00:00"}, "until": {"2026-11-27T00:00"},
	}
	f := filterOf(q)
	if got := f.values().Encode(); got != q.Encode() {
		t.Errorf("got %s", got)
	}
	if got := f.asked(); got.Get("since") != "2026-11-26T00:00:00Z" || got.Get("until") != "2026-11-27T00:00:00Z" {
		t.Errorf("asked %v", got)
	}
	if got := (callFilter{Since: "24h"}).asked().Get("since"); got != "24h" {
		t.Errorf("since %q", got)
	}
	if got, want := f.With("decision", "", "before", "7"), "/console/calls?"; got[:len(want)] != want || url.Values(parse(t, got)).Get("before") != "7" || parse(t, got).Has("decision") {
		t.Errorf("with: %s", got)
	}
	if got := f.Cleared(); got != "/console/calls?decision=deny&kind=call" {
		t.Errorf("cleared: %s", got)
	}
	if !f.Narrow() || (callFilter{Kind: "call", Decision: "deny"}).Narrow() {
		t.Error("narrow")
	}
}

func parse(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// Exactly one day is the current one, whatever the time of day.
func TestDays(t *testing.T) {
	for _, now := range []time.Time{noon, noon.Truncate(24 * time.Hour), noon.Truncate(24 * time.Hour).Add(24*time.Hour - 1), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)} {
		for _, d := range days(callFilter{}, now) {
			n := 0
			for _, other := range days(callFilter{Since: d.Since, Until: d.Until}, now) {
				if other.Current {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s at %s: %d days are the current one", d.Text, now, n)
			}
		}
		if y := yesterday(now); y.Until != now.Format("2006-01-02")+"T00:00" {
			t.Errorf("yesterday of %s ends %s", now, y.Until)
		}
	}
}

func TestField(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"2026-11-26T10:00":          "2026-11-26T10:00",
		"2026-11-26":                "2026-11-26T00:00",
		"2026-11-26T10:00:00+02:00": "2026-11-26T08:00",
		"90m":                       "2026-11-27T11:00",
		"-90m":                      "",
		"soon":                      "",
	} {
		if got := field(in, noon); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestHeadline(t *testing.T) {
	for want, f := range map[string]callFilter{
		"Calls and changes":         {},
		"Calls":                     {Kind: "call"},
		"Calls let through":         {Kind: "call", Decision: "allow"},
		"Refused calls of acme":     {Kind: "call", Decision: "deny", Connection: "acme"},
		"Changes":                   {Kind: "act"},
		"Refused changes":           {Kind: "act", Decision: "deny"},
		"Refused calls and changes": {Decision: "deny"},
	} {
		if got := headline(f); got != want {
			t.Errorf("%+v is %q, want %q", f, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{sentence(""), ""}, {sentence("the key is gone"), "The key is gone."}, {sentence("Why?"), "Why?"}, {sentence("érable"), "Érable."}, {sentence("jiragate client list shows them"), "jiragate client list shows them."},
		{plural(1, "client"), "client"}, {plural(0, "client"), "clients"}, {plural(uint64(1), "call"), "call"},
		{change("use"), "comes into use"}, {change("retire"), "is retired"},
		{sectionOf("/console/"), ""}, {sectionOf("/console"), "none"}, {sectionOf("/console/nothing"), "nothing"}, {sectionOf("/console/connect"), "connections"},
		{sectionOf("/console/clients/billing/grant"), "clients"},
		{query("/console/calls"), "/console/calls"},
		{query("/console/calls", "connection", "a b", "client", ""), "/console/calls?connection=a+b"},
		{at("connections", "a/../b", "test"), "/v1/connections/a%2F..%2Fb/test"},
		{attachment(`attachment; filename="x"`, "y"), `attachment; filename="x"`},
		{attachment("", "rec\"ord\r\n-1.tlog-proof"), `attachment; filename="rec_ord__-1.tlog-proof"`},
		{credentialName("basic"), "password"}, {credentialName("else"), "else"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
	if got := fields(" acme,globex\n initech "); len(got) != 3 || got[2] != "initech" {
		t.Errorf("fields: %q", got)
	}
}
