package notify

import (
	"strings"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

func tokenConnection() tokenstore.Connection {
	return tokenstore.Connection{
		ID:          "acme",
		Edition:     policy.Cloud,
		SiteURL:     "https://acme.atlassian.net",
		CloudID:     "11111111-2222-3333-4444-555555555555",
		Region:      tokenstore.RegionUS,
		Incarnation: 7,
		State:       tokenstore.StateNeedsReauthorisation,
		StateReason: "Atlassian ended the grant",
		StateSince:  time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.FixedZone("", 3600)),
	}
}

// TestBody holds the form that receivers were promised.
func TestBody(t *testing.T) {
	cloud := tokenConnection()
	waiting := cloud
	waiting.SiteURL, waiting.CloudID, waiting.StateReason = "", "", tokenstore.ReasonAwaitsConsent
	server := cloud
	server.Edition, server.SiteURL, server.CloudID, server.BaseURL = policy.DataCenter, "", "", "https://jira.acme.com/jira"
	server.State, server.StateReason = tokenstore.StateActive, ""
	for _, test := range []struct {
		name string
		news news
		want string
	}{
		{"cloud", news{&cloud, tokenstore.StateActive},
			`{"type":"connection.state_changed","timestamp":"2026-03-01T09:00:00.123456789Z","data":{"connection":"acme","edition":"cloud","site_url":"https://acme.atlassian.net","region":"us","state":"needs_reauthorisation","previous_state":"active","reason":"Atlassian ended the grant","since":"2026-03-01T09:00:00.123456789Z"}}`},
		{"awaits consent", news{&waiting, ""},
			`{"type":"connection.state_changed","timestamp":"2026-03-01T09:00:00.123456789Z","data":{"connection":"acme","edition":"cloud","region":"us","state":"needs_reauthorisation","previous_state":"","reason":"it waits for the consent of an administrator of its Jira","since":"2026-03-01T09:00:00.123456789Z"}}`},
		{"data center", news{&server, tokenstore.StateDisabled},
			`{"type":"connection.state_changed","timestamp":"2026-03-01T09:00:00.123456789Z","data":{"connection":"acme","edition":"datacenter","base_url":"https://jira.acme.com/jira","region":"us","state":"active","previous_state":"disabled","reason":"","since":"2026-03-01T09:00:00.123456789Z"}}`},
	} {
		got, err := test.news.body()
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\n got %s\nwant %s", test.name, err, got, test.want)
		}
	}
}

// TestMessageID: the same for the same state in every release, another one for
// each other state.
func TestMessageID(t *testing.T) {
	c := tokenConnection()
	a := news{connection: &c}.announcement()
	id := messageID(a)
	if want := "msg_3ee0ea046d2c7d97f62d1c67fe81e136"; id != want {
		t.Errorf("the id is %s, and was %s in earlier releases", id, want)
	}
	same := a
	same.Since = a.Since.UTC()
	if messageID(same) != id {
		t.Error("the id depends on the time zone")
	}
	for name, change := range map[string]func(*tokenstore.Announcement){
		"connection":  func(a *tokenstore.Announcement) { a.Connection = "acme2" },
		"incarnation": func(a *tokenstore.Announcement) { a.Incarnation++ },
		"state":       func(a *tokenstore.Announcement) { a.State = tokenstore.StateActive },
		"since":       func(a *tokenstore.Announcement) { a.Since = a.Since.Add(1) },
	} {
		other := a
		change(&other)
		if got := messageID(other); got == id || strings.Contains(got, ".") {
			t.Errorf("another %s: %s, after %s", name, got, id)
		}
		if name != "connection" && covers(other, &c) {
			t.Errorf("another %s passes for the same", name)
		}
	}
}
