package public_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"jiragate/policy"
)

// void are the elements without an end tag (HTML, section 13.1.2).
var void = []string{"meta", "link", "br", "wbr", "hr", "img", "input"}

// balanced reports the first element that isn't closed, or closed without being open.
func balanced(page string) string {
	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return strings.Join(open, " ")
		case html.StartTagToken, html.EndTagToken:
			b, _ := z.TagName()
			name := string(b)
			if kind == html.StartTagToken {
				if !slices.Contains(void, name) {
					open = append(open, name)
				}
				continue
			}
			if len(open) == 0 || open[len(open)-1] != name {
				return "</" + name + ">"
			}
			open = open[:len(open)-1]
		}
	}
}

func TestPagesAreWellFormed(t *testing.T) {
	rotated, narrowed := pinned(), pinned()
	rotated.rotate(2)
	narrowed.document.Policy = rules(t, "rules: [{name: r, deny: [issue.delete]}]")
	for name, g := range map[string]*gateway{"pinned": pinned(), "unpinned": unpinned(), "rotated": rotated, "narrowed": narrowed} {
		for _, base := range []string{"/", "/public/"} {
			h := g.handler(t, base)
			for _, path := range []string{"", "nothing"} {
				answer := ask(h, "GET", base+path)
				b, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				if wrong := balanced(string(b)); wrong != "" {
					t.Errorf("%s, %s%s: not balanced: %s", name, base, path, wrong)
				}
				checkLinks(t, h, name+" "+base+path, parsed(t, string(b)))
			}
		}
	}
}

// checkLinks follows what a page refers to: everything is there, and of this origin.
func checkLinks(t *testing.T, h http.Handler, name string, root *html.Node) {
	t.Helper()
	ids := map[string]bool{}
	for _, n := range elements(root, 0) {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("%s: the id %q is there twice", name, id)
			}
			ids[id] = true
		}
	}
	for _, n := range elements(root, 0) {
		if n.DataAtom == atom.Style || n.DataAtom == atom.Form || n.DataAtom == atom.Iframe || n.DataAtom == atom.Script && n.FirstChild != nil {
			t.Errorf("%s: there is a <%s>", name, n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style":
				t.Errorf("%s: <%s> has %s", name, n.Data, a.Key)
			case a.Key == "aria-labelledby" || a.Key == "aria-describedby" || a.Key == "data-copy-from":
				if !ids[a.Val] {
					t.Errorf("%s: %s of a <%s> is %q, which is not there", name, a.Key, n.Data, a.Val)
				}
			case a.Key != "href" && a.Key != "src":
			case strings.HasPrefix(a.Val, "#"):
				if !ids[a.Val[1:]] {
					t.Errorf("%s: nothing is at %s", name, a.Val)
				}
			case strings.HasPrefix(a.Val, "https://"):
				if n.DataAtom != atom.A || !strings.HasPrefix(a.Val, "https://developer.atlassian.com/") && !strings.HasPrefix(a.Val, "https://c2sp.org/") {
					t.Errorf("%s: a <%s> refers to %s", name, n.Data, a.Val)
				}
			default:
				if answer := ask(h, "GET", a.Val); answer.StatusCode != http.StatusOK {
					t.Errorf("%s: %s answers %d", name, a.Val, answer.StatusCode)
				}
			}
		}
	}
	for kind, want := range map[atom.Atom]int{atom.H1: 1, atom.Main: 1, atom.Title: 1} {
		if got := len(elements(root, kind)); got != want {
			t.Errorf("%s: %d <%s>, want %d", name, got, kind, want)
		}
	}
}

func rules(t testing.TB, yaml string) *policy.Policy {
	t.Helper()
	p, err := policy.New([]byte("version: 1\n" + yaml + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The table is the one of the customers' security document, row by row.
func TestOperationsAreThoseOfTheDocument(t *testing.T) {
	page := read(t, pinned().handler(t, "/"), "/")
	got := rows(t, page, "Documented operations")
	want := [][3]string{
		{"Get authorized user info, test connectivity", "GET /rest/api/2/myself", "GET /rest/api/3/myself"},
		{"List projects", "GET /rest/api/2/project", "GET /rest/api/3/project/search"},
		{"Retrieve project details", "GET /rest/api/2/project/{projectIdOrKey}", "GET /rest/api/3/project/{projectIdOrKey}"},
		{"Retrieve issue types for selected project", "GET /rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes", "GET /rest/api/3/project/{projectIdOrKey}?expand=issueTypes"},
		{"Retrieve field definitions for issue type", "GET /rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}", "GET /rest/api/3/issue/createmeta"},
		{"Retrieve components for custom fields", "GET /rest/api/2/project/{projectIdOrKey}/components", "GET /rest/api/3/project/{projectIdOrKey}/components"},
		{"Retrieve users for custom fields", "GET /rest/api/2/user/picker", "GET /rest/api/3/user/picker"},
		{"Search for assigned user", "GET /rest/api/2/user/assignable/search", "GET /rest/api/3/user/assignable/search"},
		{"Retrieve priority options", "GET /rest/api/2/priority", "GET /rest/api/3/priority"},
		{"Publish a Jira Issue", "POST /rest/api/2/issue", "POST /rest/api/3/issue"},
		{"Delete a published Jira Issue", "DELETE /rest/api/2/issue/{issueIdOrKey}", "DELETE /rest/api/3/issue/{issueIdOrKey}"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i][0] != w[0] {
			t.Errorf("row %d is about %q, want %q", i+1, got[i][0], w[0])
		}
		for j := 1; j < 3; j++ {
			if got[i][j] != w[j] && !strings.HasPrefix(got[i][j], w[j]+" ") {
				t.Errorf("%s: %q, want %q", w[0], got[i][j], w[j])
			}
		}
	}
	// Each call says what it may carry and needs, as the policy has it.
	all := text(parsed(t, page))
	for _, o := range policy.Default().Operations() {
		if o.SuccessorOf != "" {
			continue
		}
		says := ""
		if names := o.QueryNames(); len(names) > 0 {
			says = "Query: " + strings.Join(names, ", ")
		}
		if o.Body == policy.BodyIssue {
			says += " Body: required: a JSON object with “fields”, at most 1 MiB"
		}
		if o.Scope != "" {
			says += " Scope: " + o.Scope
		}
		path := o.Path
		if o.When != "" {
			path += "?" + o.When
		}
		if want := strings.TrimSpace(o.Method + " " + path + " " + strings.TrimSpace(says)); !strings.Contains(all, want) {
			t.Errorf("%s of %s: the page does not say %q", o.ID, o.Edition, want)
		}
	}
	for _, want := range []string{policy.Default().SHA256(), "policy version " + policy.Default().Version()} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestNarrowedPolicy(t *testing.T) {
	g := pinned()
	g.document.Policy = rules(t, `successors: [createmeta.issuetypes]
rules:
  - {name: nobody-deletes, deny: [issue.delete]}
  - {name: secret-of-initech, connections: [initech], clients: [billing-service], deny: [issue.create], projects: [HUSH]}`)
	page := read(t, g.handler(t, "/"), "/")
	for _, row := range rows(t, page, "Documented operations") {
		off := row[0] == "Delete a published Jira Issue"
		for _, call := range row[1:] {
			if strings.Contains(call, "switched off") != off {
				t.Errorf("%s: %q", row[0], call)
			}
		}
	}
	successors := rows(t, page, "Successors")
	if len(successors) != 2 || strings.Contains(successors[0][2], " off") || !strings.Contains(successors[1][2], " off") {
		t.Errorf("%q", successors)
	}
	if !strings.Contains(page, g.document.Policy.SHA256()) {
		t.Error("the hash is another's")
	}
}

func TestScopes(t *testing.T) {
	got := rows(t, read(t, pinned().handler(t, "/"), "/"), "Access scopes")
	want := []struct{ name, requiredFor, calls string }{
		{"read:jira-work", "Read project list and issue metadata",
			"List projects; Retrieve project details; Retrieve issue types for selected project; Retrieve field definitions for issue type; " +
				"Retrieve components for custom fields; Retrieve priority options"},
		{"write:jira-work", "Write action items to Jira", "Publish a Jira Issue; Delete a published Jira Issue"},
		{"read:jira-user", "Enable users of Jira", "Get authorized user info, test connectivity; Retrieve users for custom fields; Search for assigned user"},
		{"offline_access", "without requiring re-authentication", "None by itself: it brings the refresh token, with which access is renewed."},
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i, w := range want {
		if got[i][0] != w.name || !strings.Contains(got[i][1], w.requiredFor) || got[i][2] != w.calls {
			t.Errorf("%q, want %v", got[i], w)
		}
	}
}

func TestHistory(t *testing.T) {
	g := pinned()
	got := rows(t, read(t, g.handler(t, "/"), "/"), "Announced changes")
	if len(got) != len(g.document.History) {
		t.Fatalf("%d rows", len(got))
	}
	for row, want := range map[int]string{
		0: "52.73.143.252|is retired|31 Mar 2027, 22:00 UTC|20 Nov 2026, 09:00 UTC",
		1: "54.144.10.21|comes into use|15 Dec 2026, 09:00 UTC|2 Nov 2026, 14:30 UTC",
		6: "52.54.159.237|comes into use|4 May 2021, 00:00 UTC|4 May 2021, 00:00 UTC",
	} {
		if said := strings.Join(got[row], "|"); said != want {
			t.Errorf("row %d is %s, want %s", row, said, want)
		}
	}
}

func TestUnpinned(t *testing.T) {
	h := unpinned().handler(t, "/")
	page := text(parsed(t, read(t, h, "/")))
	for _, want := range []string{
		"No address is published for this region: calls are unpinned.", "No change has been announced.", "The checksums are not signed here.",
		"No key is published here.", "There is none yet.", "EU environment",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, without := range []string{"Requests originate from", "Copy all", "openssl pkeyutl"} {
		if strings.Contains(page, without) {
			t.Errorf("the page says %q", without)
		}
	}
	for _, path := range []string{"/files/SHA256SUMS.note", "/audit/audit-key.pem", "/audit/audit-key.txt", "/audit/latest.checkpoint"} {
		if answer := ask(h, "GET", path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}

	announced := pinned()
	announced.now = at("2021-05-03T00:00:00Z")
	announced.document.Entries = announced.document.Entries[4:]
	if page := text(parsed(t, read(t, announced.handler(t, "/"), "/"))); !strings.Contains(page, "No address is in use yet: calls are unpinned.") {
		t.Error("the page does not say that no address is in use yet")
	}
}

// What is copied is what is shown.
func TestCopyButtons(t *testing.T) {
	g := pinned()
	root := parsed(t, read(t, g.handler(t, "/"), "/"))
	var copied []string
	for _, b := range elements(root, atom.Button) {
		if !strings.Contains(attribute(b, "class"), "scripted") {
			t.Errorf("%q is shown without scripts", text(b))
		}
		if s := attribute(b, "data-copy"); s != "" {
			copied = append(copied, s)
		}
	}
	all := "52.54.159.237\n52.73.143.252\n54.144.10.21\n2a05:d018::1"
	for _, want := range append(strings.Split(all, "\n"), all, string(g.checkpoint)) {
		if !slices.Contains(copied, want) {
			t.Errorf("nothing copies %q", want)
		}
	}
	if strings.Contains(strings.Join(copied, "\n"), "54.90.200.7") {
		t.Error("a retired address is copied")
	}
}

// Nothing of a request comes back, and nothing of the operator's rules is shown.
func TestNothingElseIsShown(t *testing.T) {
	g := pinned()
	g.document.Policy = rules(t, `rules: [{name: rule-marker, connections: [connection-marker], clients: [client-marker], deny: [issue.create], projects: [PROJECTMARKER]}]`)
	h := g.handler(t, "/public/")
	paths := []string{"/public", "/public/", "/public/nothing-marker", "/public/files/marker.json", "/public/assets/marker.js", "/public/?q=marker", "/marker"}
	for _, n := range elements(parsed(t, read(t, h, "/public/")), atom.A) {
		if link := attribute(n, "href"); strings.HasPrefix(link, "/") {
			paths = append(paths, link+"?marker")
		}
	}
	if len(paths) < 20 {
		t.Fatalf("only %q", paths)
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "POST"} {
			answer := ask(h, method, "http://marker.example"+path, "Referer", "https://marker.example/", "X-Forwarded-Host", "marker.example",
				"X-Forwarded-Prefix", "/marker", "Cookie", "marker=1", "Origin", "https://marker.example", "User-Agent", "marker")
			b, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range answer.Header {
				b = append(b, name+": "+strings.Join(values, ", ")...)
			}
			if at := strings.Index(strings.ToLower(string(b)), "marker"); at >= 0 {
				t.Errorf("%s %s shows …%s", method, path, b[max(0, at-60):at+6])
			}
		}
	}
}

// The footer says when the page was made, which moves on, and no more often than it is
// made.
func TestMade(t *testing.T) {
	g := pinned()
	h := g.handler(t, "/")
	made := func() string { return text(elements(parsed(t, read(t, h, "/")), atom.Footer)[0]) }
	if got := made(); !strings.Contains(got, "27 Nov 2026 06:30:00 UTC") || !strings.Contains(got, "1.2.3") {
		t.Error(got)
	}
	g.advance(10 * time.Second)
	if got := made(); !strings.Contains(got, "27 Nov 2026 06:30:10 UTC") {
		t.Error(got)
	}
}
