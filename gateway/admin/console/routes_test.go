package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jiragate/gateway/audit"
)

// markup would be an element, if it weren't escaped.
const markup = `<img src=x onerror=alert(1)>"'`

// pages are those that can be had without a form.
var pages = []string{
	"/console/", "/console/?window=7d", "/console/connections", "/console/connections?text=a", "/console/connect",
	"/console/connect?kind=datacenter-basic", "/console/connect?kind=datacenter-pat", "/console/connect?kind=datacenter-oauth2", "/console/connect?kind=datacenter-oauth1",
	"/console/connections/acme", "/console/connections/acme?window=1h", "/console/connections/basic", "/console/connections/pat", "/console/connections/off",
	"/console/clients", "/console/add-client", "/console/clients/billing", "/console/clients/reports",
	"/console/calls", "/console/calls?decision=deny&kind=call", "/console/calls?kind=act", "/console/calls?before=20", "/console/calls/1", "/console/calls/61",
	"/console/policy", "/console/policy/explain?method=GET&url=https%3A%2F%2Facme.atlassian.net%2Frest%2Fapi%2F3%2Fmyself", "/console/policy/history", "/console/policy/diff?from=current&to=current",
	"/console/egress", "/console/reports", "/console/reports?connection=acme", "/console/audit",
}

// deed is a form, and who may send it.
type deed struct {
	path      string
	fields    []string
	needs     string
	operation string // of its record; empty where there is none
}

// deeds are all forms there are, each as it works once, in this order.
var deeds = []deed{
	{"/console/connect", []string{"kind", "datacenter-basic", "id", "new1", "base_url", "https://jira.new1.com", "username", "u", "password", canary + "-form"}, "admin", "admin.connection.add"},
	{"/console/connections/basic/test", nil, "admin", ""},
	{"/console/connections/basic/disable", nil, "admin", "admin.connection.disable"},
	{"/console/connections/basic/enable", nil, "admin", "admin.connection.enable"},
	{"/console/connections/acme/consent", nil, "admin", "admin.connection.consent"},
	{"/console/connections/basic/credential", []string{"username", "u", "password", canary + "-replaced"}, "admin", "admin.connection.credential"},
	{"/console/connections/pat/grant", []string{"client", "reports"}, "admin", "admin.client.grant"},
	{"/console/add-client", []string{"name", "fresh", "connections", "acme"}, "admin", "admin.client.add"},
	{"/console/clients/reports/rotate", nil, "admin", "admin.client.rotate"},
	{"/console/clients/reports/grant", []string{"connection", "acme"}, "admin", "admin.client.grant"},
	{"/console/clients/reports/revoke", []string{"connection", "acme"}, "admin", "admin.client.revoke"},
	{"/console/egress/verify", nil, "admin", "admin.egress.verify"},
	{"/console/reports", []string{"connection", "acme", "month", "2026-01", "format", "csv"}, "compliance", "admin.audit.report"},
	{"/console/clients/reports/remove", []string{"confirm", "reports"}, "admin", "admin.client.remove"},
	{"/console/connections/off/remove", []string{"confirm", "off"}, "admin", "admin.connection.remove"},
}

// Who isn't signed in sees nothing, is asked to sign in, and comes back to where they were going.
func TestStrangersAreAskedToSignIn(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.stranger(t)
	before := len(h.records())
	for _, page := range append([]string{"/console/calls/1/proof", "/console/nothing", "/console/policy/history/" + h.policy.SHA256()}, pages...) {
		a := b.get(page)
		to, err := url.Parse(a.Header.Get("Location"))
		must(t, err)
		want := page
		if page == "/console/" {
			want = ""
		}
		if a.StatusCode != http.StatusSeeOther || to.Host != "" || to.Path != "/console/signin" || to.Query().Get("to") != want {
			t.Errorf("%s: %s to %s", page, a.Status, to)
		}
		if strings.Contains(a.body, "acme.atlassian.net\"") {
			t.Errorf("%s: the answer tells something", page)
		}
	}
	for _, f := range deeds {
		if a := b.send(f.path, append(f.fields, "csrf", "")...); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/console/signin" {
			t.Errorf("POST %s: %s to %s", f.path, a.Status, a.Header.Get("Location"))
		}
	}
	if after := len(h.records()); after != before {
		t.Errorf("%d records of strangers", after-before)
	}
}

// All pages are seen by everybody who has a role; forms only by those who may send them.
func TestRolesSeeWhatTheyMayDo(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	for _, role := range []string{"viewer", "compliance", "admin"} {
		b := h.as(t, role)
		offered := map[string]bool{}
		for _, page := range pages {
			a := b.get(page)
			if a.StatusCode != http.StatusOK {
				t.Errorf("%s: %s is %s", role, page, a.Status)
			}
			if !strings.Contains(a.body, "Some "+role) {
				t.Errorf("%s: %s doesn't say who is signed in", role, page)
			}
			for _, path := range a.forms() {
				offered[path] = true
			}
		}
		delete(offered, "/console/signout")
		may := map[string]bool{}
		for _, f := range deeds {
			if role == "admin" || f.needs == role {
				// Disabled connections are enabled, and the others are disabled.
				may[strings.Replace(f.path, "/basic/enable", "/off/enable", 1)] = true
			}
		}
		for path := range may {
			if !offered[path] && !strings.HasSuffix(path, "/clients/reports/revoke") { // it has no grants yet
				t.Errorf("%s isn't offered %s", role, path)
			}
		}
		if role != "admin" {
			for path := range offered {
				if !may[path] {
					t.Errorf("%s is offered %s", role, path)
				}
			}
		}
		if a := b.get("/console/calls/1/proof"); (a.StatusCode == http.StatusOK) != (role != "viewer") {
			t.Errorf("%s: a proof is %s", role, a.Status)
		}
	}
}

// What somebody may not do the API refuses, on record with their name; and what they
// may do is on record with their name, too.
func TestActsAreOfWhoIsSignedIn(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	for _, role := range []string{"viewer", "compliance", "admin"} {
		b := h.as(t, role)
		for _, f := range deeds {
			before := len(h.records())
			clients, connections := h.contents()
			a := b.post(f.path, f.fields...)
			may := role == "admin" || role == f.needs
			switch {
			case may && a.StatusCode >= 400:
				t.Errorf("%s: POST %s is %s\n%s", role, f.path, a.Status, a.body)
			case !may && a.StatusCode != http.StatusForbidden:
				t.Errorf("%s: POST %s is %s", role, f.path, a.Status)
			}
			if c, k := h.contents(); !may && (c != clients || k != connections) {
				t.Errorf("%s: POST %s changed the store", role, f.path)
			}
			added := h.records()[before:]
			if f.operation == "" {
				continue
			}
			want := audit.DecisionAllow
			if !may {
				want = audit.DecisionDeny
			}
			if len(added) == 0 || added[0].Operation != f.operation || added[0].Decision != want || added[0].Client != "operator:oidc:"+emailOf(role) ||
				!strings.HasPrefix(added[0].ClientAddr, "127.0.0.1:") {
				t.Errorf("%s: POST %s left %+v", role, f.path, added)
			}
		}
	}
}

// contents are what is in the store, as text.
func (h *house) contents() (clients, connections string) {
	d := h.store.Directory()
	for _, c := range d.Clients() {
		clients += fmt.Sprintf("%+v\n", *c)
	}
	for _, c := range d.Connections() {
		connections += fmt.Sprintf("%+v\n", *c)
	}
	return clients, connections
}

// Whatever a page links to can be asked for without anything being done: by a crawler,
// by a browser that looks ahead, by the image of a foreign page.
func TestLinksChangeNothing(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	clients, connections := h.contents()
	before := len(h.records())
	queue, seen := slices.Clone(pages), map[string]bool{}
	for _, f := range deeds {
		queue = append(queue, f.path)
	}
	queue = append(queue, "/console/signout")
	for len(queue) > 0 && len(seen) < 600 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] || strings.HasPrefix(path, "/console/calls/live") || strings.HasPrefix(path, "/public/") {
			continue
		}
		seen[path] = true
		a := b.get(path)
		if a.StatusCode >= 500 {
			t.Errorf("%s: %s", path, a.Status)
		}
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		at, err := url.Parse(path)
		must(t, err)
		a.elements(func(n *html.Node) {
			for _, name := range []string{"href", "src", "action"} {
				to, err := at.Parse(attribute(n, name))
				if err != nil || attribute(n, name) == "" {
					continue
				}
				if to.Host != "" {
					t.Errorf("%s leads to another host: %s", path, to)
				}
				to.Fragment = ""
				queue = append(queue, to.String())
			}
		})
	}
	if len(seen) < 60 {
		t.Errorf("only %d links were found", len(seen))
	}
	if c, k := h.contents(); c != clients || k != connections {
		t.Error("the store has changed")
	}
	if after := len(h.records()); after != before {
		t.Errorf("%d records were added, the first %+v", after-before, h.records()[before])
	}
	if a := b.get("/console/"); a.StatusCode != http.StatusOK {
		t.Errorf("the session is gone: %s", a.Status)
	}
}

// A route of one method isn't one of others.
func TestMethods(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	for _, f := range deeds {
		for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
			if method == "GET" && slices.Contains([]string{"/console/connect", "/console/add-client", "/console/reports"}, f.path) {
				continue // the page of the form
			}
			a := b.do(b.request(method, f.path, ""))
			if a.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(a.Header.Get("Allow"), "POST") {
				t.Errorf("%s %s: %s, Allow %q", method, f.path, a.Status, a.Header.Get("Allow"))
			}
		}
	}
	for _, page := range []string{"/console/", "/console/calls", "/console/calls/live", "/console/calls/1", "/console/policy", "/console/audit", "/console/connections/acme"} {
		if a := b.post(page); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %s, Allow %q", page, a.Status, a.Header.Get("Allow"))
		}
	}
	if a := b.post("/console/nothing"); a.StatusCode != http.StatusNotFound {
		t.Errorf("POST to no page: %s", a.Status)
	}
}

// A call's page names the rule that let it through, from the policy that decided.
func TestPolicyThatDecided(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "viewer")
	a := b.get("/console/policy/history/" + h.policy.SHA256())
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "has this hash") || !strings.Contains(a.body, "myself.get") || strings.Contains(a.body, "What would be decided?") {
		t.Errorf("the policy that is kept: %s\n%s", a.Status, a.body)
	}
	if a := b.get("/console/calls/1"); !strings.Contains(a.body, "<dt>Rule</dt>") || !strings.Contains(a.body, "read:jira-user") && !strings.Contains(a.body, "read:jira-work") {
		t.Errorf("the call has no rule:\n%s", a.body)
	}
}

// A policy whose kept text was altered has a page that says so, and why it is of no use.
func TestPolicyThatWasAltered(t *testing.T) {
	h := newHouse(t, setting{})
	must(t, os.WriteFile(filepath.Join(h.dir, "policies", h.policy.SHA256()+".policy"), []byte("altered"), 0o600))
	a := h.as(t, "viewer").get("/console/policy/history/" + h.policy.SHA256())
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `was altered</span> <span class="soft">`) {
		t.Errorf("%s\n%s", a.Status, a.body)
	}
}

// An id of dots is an id, and no way to another path of the API.
func TestDotSegments(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	clients, connections := h.contents()
	for _, dots := range []string{".", ".."} {
		in := strings.ReplaceAll(dots, ".", "%2e")
		for _, path := range []string{"/console/connections/X", "/console/clients/X", "/console/calls/X", "/console/calls/X/proof", "/console/policy/history/X"} {
			if a := b.get(strings.ReplaceAll(path, "X", in)); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s of %s: %s", path, dots, a.Status)
			}
		}
		for _, f := range []deed{
			{path: "/console/connections/X/test"}, {path: "/console/connections/X/disable"}, {path: "/console/connections/X/consent"}, {path: "/console/connections/X/credential"},
			{path: "/console/connections/X/remove", fields: []string{"confirm", dots}}, {path: "/console/connections/acme/grant", fields: []string{"client", dots}},
			{path: "/console/clients/X/rotate"}, {path: "/console/clients/X/remove", fields: []string{"confirm", dots}}, {path: "/console/clients/X/grant", fields: []string{"connection", "acme"}},
			{path: "/console/clients/billing/grant", fields: []string{"connection", dots}}, {path: "/console/clients/billing/revoke", fields: []string{"connection", dots}},
		} {
			if a := b.post(strings.ReplaceAll(f.path, "X", in), f.fields...); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s of %s: %s", f.path, dots, a.Status)
			}
		}
	}
	if c, k := h.contents(); c != clients || k != connections {
		t.Error("the store has changed")
	}
}
