package console_test

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
)

// Where the audit log can't be read in time, pages show the rest: what is shown only
// once is not lost.
func TestLogThatCannotBeRead(t *testing.T) {
	h := newHouse(t, setting{api: func(o *admin.Options) {
		o.Log.Query = func(context.Context, audit.Filter) iter.Seq2[audit.Entry, error] {
			return func(yield func(audit.Entry, error) bool) { yield(audit.Entry{}, context.DeadlineExceeded) }
		}
	}}).furnish()
	b := h.as(t, "admin")
	for _, path := range []string{"/console/", "/console/connections/acme", "/console/clients/billing"} {
		if a := b.get(path); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Reading the audit log took longer") {
			t.Errorf("%s: %s\n%s", path, a.Status, a.body)
		}
	}
	if a := b.post("/console/add-client", "name", "fresh"); a.StatusCode != http.StatusCreated || a.text("client-token") == "" {
		t.Errorf("a new client: %s\n%s", a.Status, a.body)
	}
	if a := b.post("/console/clients/fresh/rotate"); a.StatusCode != http.StatusOK || a.text("client-token") == "" {
		t.Errorf("a new token: %s\n%s", a.Status, a.body)
	}
	if a := b.post("/console/connect", "kind", "cloud", "id", "waiting"); a.StatusCode != http.StatusCreated || a.text("consent-link") == "" {
		t.Errorf("a new connection: %s\n%s", a.Status, a.body)
	}
	if a := b.get("/console/calls"); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "Narrow the time") {
		t.Errorf("calls: %s\n%s", a.Status, a.body)
	}
}
