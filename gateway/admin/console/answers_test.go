package console_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/policy/history"
)

// links are the addresses that a page leads to.
func (a answer) links() (list []string) {
	a.elements(func(n *html.Node) {
		if n.Data == "a" {
			list = append(list, attribute(n, "href"))
		}
	})
	return list
}

// A page that answers a form stands at the form's address, where there is nothing to
// be read. Its links lead to where there is: the windows of the charts, for one.
func TestAnswersToFormsLeadOn(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	for _, f := range []struct {
		path, connection string
		fields           []string
	}{
		{"/console/connections/basic/test", "basic", nil},
		{"/console/connections/acme/consent", "acme", nil},
		{"/console/connect", "waiting", []string{"kind", "cloud", "id", "waiting"}},
	} {
		a := b.post(f.path, f.fields...)
		if a.StatusCode >= 400 {
			t.Fatalf("POST %s: %s\n%s", f.path, a.Status, a.body)
		}
		links := a.links()
		if want := "/console/connections/" + f.connection + "?window=1h"; !slices.Contains(links, want) {
			t.Errorf("POST %s: no link to %s", f.path, want)
		}
		for _, link := range links {
			if !strings.HasPrefix(link, "/console/") {
				continue
			}
			if a := b.get(link); a.StatusCode != http.StatusOK {
				t.Errorf("POST %s leads to %s, which is %s", f.path, link, a.Status)
			}
		}
	}
}

// The number of calls that were let through leads to these calls, and not to refused
// ones besides.
func TestOverviewLeadsToWhatItCounts(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	a := h.as(t, "viewer").get("/console/?window=1h")
	for _, want := range []string{"/console/calls?decision=allow&kind=call&since=1h", "/console/calls?decision=deny&kind=call&since=1h"} {
		if !slices.Contains(a.links(), want) {
			t.Errorf("no link to %s", want)
		}
	}
}

// Two operations with one path are told apart by the query of one.
func TestPolicyTellsOperationsApart(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "viewer")
	for _, page := range []string{"/console/policy", "/console/policy/history/" + h.policy.SHA256()} {
		if a := b.get(page); !strings.Contains(strings.ReplaceAll(a.body, "<wbr>", ""), "GET /rest/api/3/project/{projectIdOrKey}?expand=issueTypes<") {
			t.Errorf("%s: the query of issuetype.list is missing\n%s", page, a.body)
		}
	}
}

// What the operator's rules take from single connections shows on the page of the
// policy in force; and if they can't be shown, that shows.
func TestRulesInForce(t *testing.T) {
	p, err := policy.New([]byte("version: 1\nrules:\n  - name: acme-project-only\n    connections: [acme]\n    projects: [ACME]\n"))
	must(t, err)
	for _, isKept := range []bool{true, false} {
		h := newHouse(t, setting{api: func(o *admin.Options) {
			o.Policy = func() *policy.Policy { return p }
			if isKept {
				kept := history.New(filepath.Join(t.TempDir(), "policies"))
				must(t, kept.Put(p))
				o.Policies = kept
			}
		}})
		a := h.as(t, "viewer").get("/console/policy")
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "The operator's rules") {
			t.Fatalf("kept %v: no rules: %s\n%s", isKept, a.Status, a.body)
		}
		if strings.Contains(a.body, "acme-project-only") != isKept || strings.Contains(a.body, `role="alert"`) == isKept {
			t.Errorf("kept %v:\n%s", isKept, a.body)
		}
	}
}

// Who mistypes the connection of a report gets the form back, with what was entered.
func TestReportOfNoConnection(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	a := h.as(t, "compliance").post("/console/reports", "connection", "acmee", "month", "2026-01", "format", "csv")
	if a.StatusCode != http.StatusNotFound || a.value("connection") != "acmee" || !slices.Contains(a.forms(), "/console/reports") ||
		!strings.Contains(a.body, `value="csv" checked`) || !strings.Contains(a.body, `role="alert"`) {
		t.Errorf("%s\n%s", a.Status, a.body)
	}
}

// One is no plural, and a page that there isn't is no part of the navigation.
func TestOneClient(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "viewer")
	if a := b.get("/console/clients?text=billing"); !strings.Contains(a.body, ">1 client<") {
		t.Errorf("one client:\n%s", a.body)
	}
	if a := b.get("/console/nothing"); strings.Contains(a.body, `aria-current="page"`) {
		t.Errorf("a page that is missing is shown as a part of the navigation:\n%s", a.body)
	}
}
