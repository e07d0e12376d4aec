package demo

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/gateway/audit"
	"jiragate/internal/browser"
)

// screenshots is where pictures of all pages go; none are taken without it.
var screenshots = flag.String("screenshots", "", "write pictures of each page of the console and the public page, wide and narrow, light and dark, to this `directory`")

// Widths of a window on a desk and of a telephone, in CSS pixels.
const (
	wide, narrow = 1280, 390
	high         = 900
)

// shown is a page, and how one gets to it.
type shown struct {
	name   string
	path   string
	status int // 0 is 200
	// then is done on the page of the path, and leads to the one that is meant.
	then func(tab *browser.Tab)
}

// Every page can be used by everybody: axe-core finds nothing in light or dark, on a
// desk or on a telephone; nothing sticks out at the side; there are a title, a language
// and one heading of the first level.
func everyPage(t *testing.T, f *faces) {
	var some, others []shown
	for i, p := range f.pages(t) {
		if i%2 == 0 {
			some = append(some, p)
		} else {
			others = append(others, p)
		}
	}
	for _, part := range []struct {
		name  string
		tab   func(*testing.T) *browser.Tab
		pages []shown
	}{
		{"before signing in", f.tab, f.pagesBeforeSignIn()},
		{"some of the console", f.signedIn, some},
		{"the others of it", f.signedIn, others},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel() // it takes most of the time
			tab := part.tab(t)
			for _, p := range part.pages {
				f.inspect(t, tab, p)
			}
		})
	}
}

func (f *faces) inspect(t *testing.T, tab *browser.Tab, p shown) {
	t.Helper()
	if p.status == 0 {
		p.status = http.StatusOK
	}
	tab.Open(f.origin+p.path, p.status)
	if p.then != nil {
		p.then(tab)
	}
	tab.Until(`document.readyState === "complete"`)
	if got := browser.Eval[string](tab, `[document.documentElement.lang, document.querySelectorAll("h1").length, document.title !== ""].join(" ")`); got != "en 1 true" {
		t.Errorf("%s: language, headings, title: %s", p.name, got)
	}
	for _, width := range []int{narrow, wide} {
		tab.Size(width, high)
		if out := browser.Eval[string](tab, sticksOut); out != "" {
			t.Errorf("%s, %d pixels: wider than the window: %s", p.name, width, out)
		}
		for _, scheme := range []string{"dark", "light"} {
			tab.Scheme(scheme)
			f.picture(t, tab, fmt.Sprintf("%s-%d-%s.png", p.name, width, scheme))
		}
	}
	// Only the rules about colours care for the scheme.
	for _, look := range []struct {
		width  int
		scheme string
		find   func() []browser.Violation
	}{{wide, "light", tab.Violations}, {wide, "dark", tab.ColourViolations}, {narrow, "dark", tab.Violations}, {narrow, "light", tab.ColourViolations}} {
		tab.Size(look.width, high)
		tab.Scheme(look.scheme)
		for _, v := range look.find() {
			t.Errorf("%s, %d pixels, %s: %s", p.name, look.width, look.scheme, v)
		}
	}
}

// sticksOut names what makes a page wider than its window.
const sticksOut = `(() => {
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= width) return "";
	return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll, nav, pre"))
		.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join("\n") || "something";
})()`

func (f *faces) picture(t *testing.T, tab *browser.Tab, name string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*screenshots, strings.ReplaceAll(name, " ", "-")), tab.Screenshot(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *faces) pagesBeforeSignIn() []shown {
	return []shown{
		{name: "public page", path: "/public/"},
		{name: "public page missing", path: "/public/nothing", status: http.StatusNotFound},
		{name: "sign in", path: "/console/"},
		{name: "sign in refused", path: "/console/", then: func(tab *browser.Tab) {
			tab.Click("#token")
			tab.Type("jga_of-somebody-else")
			tab.Follow("button[type=submit]")
		}},
		{name: "consent of no link", path: "/oauth/callback?state=none&code=none", status: http.StatusBadRequest},
	}
}

func (f *faces) pages(t *testing.T) []shown {
	newest := func(filter audit.Filter) string {
		filter.Limit = 1
		list := f.records(t, filter)
		if len(list) == 0 {
			t.Fatalf("there is no record like %+v", filter)
		}
		return "/console/calls/" + numbers(list)[0]
	}
	current := f.records(t, audit.Filter{Limit: 1})[0].PolicySHA256
	explain := func(address string) string {
		return "/console/policy/explain?" + url.Values{"method": {"GET"}, "url": {address}, "connection": {"globex"}}.Encode()
	}
	site := "https://globex.atlassian.net/rest/api/3/"
	list := []shown{
		{name: "overview", path: "/console/"},
		{name: "connections", path: "/console/connections"},
		{name: "connections filtered", path: "/console/connections?state=disabled&edition=cloud"},
		{name: "connections none", path: "/console/connections?text=nobody"},
		{name: "clients", path: "/console/clients"},
		{name: "clients none", path: "/console/clients?text=nobody"},
		{name: "client", path: "/console/clients/action-items"},
		{name: "client missing", path: "/console/clients/nobody", status: http.StatusNotFound},
		{name: "client new", path: "/console/add-client"},
		{name: "client new problem", path: "/console/add-client", then: fill("form.panel button", map[string]string{"name": "billing"})},
		{name: "client added", path: "/console/add-client", then: fill("form.panel button", map[string]string{"name": "agenda", "connections": "globex"})},
		{name: "calls", path: "/console/calls"},
		{name: "calls refused", path: "/console/calls?kind=call&decision=deny"},
		{name: "calls filtered", path: "/console/calls?connection=hooli&code=upstream_rate_limited"},
		{name: "calls none", path: "/console/calls?connection=nobody"},
		{name: "calls of changes", path: "/console/calls?kind=act"},
		{name: "call allowed", path: newest(audit.Filter{Decision: audit.DecisionAllow, Connection: "globex"})},
		{name: "call refused", path: newest(audit.Filter{Decision: audit.DecisionDeny, Connection: "globex"})},
		{name: "call missing", path: "/console/calls/999999999", status: http.StatusNotFound},
		{name: "policy", path: "/console/policy"},
		{name: "policy explain allowed", path: explain(site + "myself")},
		{name: "policy explain refused", path: explain(site + "search")},
		{name: "policy history", path: "/console/policy/history"},
		{name: "policy kept", path: "/console/policy/history/" + current},
		{name: "policy diff", path: "/console/policy/diff?from=" + current + "&to=current"},
		{name: "egress", path: "/console/egress"},
		{name: "reports", path: "/console/reports"},
		{name: "audit log", path: "/console/audit"},
		{name: "missing", path: "/console/nothing", status: http.StatusNotFound},
		{name: "connection new problem", path: "/console/connect", then: fill("form.panel button", map[string]string{"id": "globex"})},
		{name: "connection added", path: "/console/connect", then: fill("form.panel button", map[string]string{"id": "virtucon"})},
		{name: "form of another session", path: "/console/add-client", then: fill("form.panel button", map[string]string{"csrf": "of-another", "name": "agenda2"})},
	}
	for _, id := range []string{"globex", "vandelay", "oscorp", "bluth", "acme-labs", "prestige", "gringotts", "wayne-enterprises"} {
		list = append(list, shown{name: "connection " + id, path: "/console/connections/" + id})
	}
	for _, kind := range []string{"cloud", "datacenter-oauth2", "datacenter-oauth1", "datacenter-basic", "datacenter-pat"} {
		list = append(list, shown{name: "connection new " + kind, path: "/console/connect?kind=" + kind})
	}
	return list
}

// fill puts values into fields, by their names, and sends their form.
func fill(button string, values map[string]string) func(*browser.Tab) {
	return func(tab *browser.Tab) {
		for name, value := range values {
			browser.Eval[string](tab, fmt.Sprintf("document.querySelector('main [name=%s]').value = %q", name, value))
		}
		tab.Follow(button)
	}
}
