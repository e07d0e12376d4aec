package publication_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
)

func parsed(t *testing.T, d *publication.Document) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(written(t, d, "html")))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// elements returns the elements of one kind below n; of every kind for 0.
func elements(n *html.Node, kind atom.Atom) (list []*html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (kind == 0 || c.DataAtom == kind) {
			list = append(list, c)
		}
	}
	return list
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// rows returns the cells of the table with that caption.
func rows(t *testing.T, root *html.Node, caption string) (list [][]string) {
	t.Helper()
	for _, table := range elements(root, atom.Table) {
		if !strings.HasPrefix(text(elements(table, atom.Caption)[0]), caption) {
			continue
		}
		for _, tr := range elements(table, atom.Tr) {
			var cells []string
			for c := range tr.ChildNodes() {
				if c.DataAtom == atom.Th || c.DataAtom == atom.Td {
					cells = append(cells, text(c))
				}
			}
			list = append(list, cells)
		}
		return list
	}
	t.Fatalf("no table %q", caption)
	return nil
}

func TestThePageAsksForNothingElsewhere(t *testing.T) {
	for _, d := range []*publication.Document{sample(), unpinned()} {
		root := parsed(t, d)
		ids := map[string]bool{}
		for _, n := range elements(root, 0) {
			if id := attribute(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("the id %q is there twice", id)
				}
				ids[id] = true
			}
		}
		for _, n := range elements(root, 0) {
			if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg", "video", "audio"}, n.Data) {
				t.Errorf("the page has a <%s>", n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "srcset" || a.Key == "style" || a.Key == "action":
					t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
				case a.Key == "aria-labelledby" && !ids[a.Val]:
					t.Errorf("<%s> is labelled by %q, which is not there", n.Data, a.Val)
				case a.Key != "href":
				case n.DataAtom != atom.A:
					t.Errorf("<%s> has href=%q", n.Data, a.Val)
				case strings.HasPrefix(a.Val, "#"):
					if !ids[a.Val[1:]] {
						t.Errorf("nothing is at %s", a.Val)
					}
				case !strings.HasPrefix(a.Val, "https://developer.atlassian.com/"):
					t.Errorf("an anchor leads to %s", a.Val)
				}
			}
		}
		for _, style := range elements(root, atom.Style) {
			if css := text(style); strings.Contains(css, "url(") || strings.Contains(css, "@import") {
				t.Error("the style asks for something elsewhere")
			}
		}
	}
}

func TestThePageIsOfOneStructure(t *testing.T) {
	for _, d := range []*publication.Document{sample(), unpinned()} {
		root := parsed(t, d)
		if lang := attribute(elements(root, atom.Html)[0], "lang"); lang != "en" {
			t.Errorf("lang is %q", lang)
		}
		for kind, want := range map[atom.Atom]int{atom.H1: 1, atom.Main: 1, atom.Title: 1, atom.Header: 1} {
			if got := len(elements(root, kind)); got != want {
				t.Errorf("%d <%s>, want %d", got, kind, want)
			}
		}
		for _, kind := range []atom.Atom{atom.H3, atom.H4, atom.H5, atom.H6} {
			if len(elements(root, kind)) > 0 {
				t.Errorf("the page has <%s>; two levels do", kind)
			}
		}
		for _, table := range elements(root, atom.Table) {
			if c := elements(table, atom.Caption); len(c) != 1 || text(c[0]) == "" {
				t.Errorf("a table has %d captions", len(c))
			}
			columns := 0
			for _, th := range elements(table, atom.Th) {
				scope := attribute(th, "scope")
				if scope == "col" {
					columns++
				} else if scope != "row" {
					t.Errorf("the heading %q has the scope %q", text(th), scope)
				}
			}
			for _, tr := range elements(table, atom.Tr) {
				n := 0
				for c := range tr.ChildNodes() {
					if c.Type == html.ElementNode {
						n++
					}
				}
				if n != columns {
					t.Errorf("a row has %d cells under %d headings: %s", n, columns, text(tr))
				}
			}
		}
	}
}

func TestThePageShowsAddressesByState(t *testing.T) {
	root := parsed(t, sample())
	for _, tt := range []struct {
		caption string
		want    [][]string
	}{
		{"Addresses in use and announced", [][]string{
			{"52.54.159.237", "in use", "4 May 2021, 00:00 UTC", "no end is known"},
			{"52.73.143.252", "in use", "1 Mar 2024, 00:00 UTC", "31 Mar 2027, 22:00 UTC"},
			{"2a05:d018::1", "in use", "1 Jun 2026, 00:00 UTC", "no end is known"},
			{"54.144.10.21", "announced", "15 Dec 2026, 09:00 UTC", "no end is known"},
		}},
		{"Addresses that were in use", [][]string{
			{"54.90.200.7", "retired", "4 May 2021, 00:00 UTC", "1 Apr 2024, 00:00 UTC"},
		}},
	} {
		got := rows(t, root, tt.caption)[1:]
		if !slices.EqualFunc(got, tt.want, slices.Equal[[]string]) {
			t.Errorf("%s:\n%q\nwant\n%q", tt.caption, got, tt.want)
		}
	}
	history := rows(t, root, "Announced changes")[1:]
	if len(history) != 7 || !slices.Equal(history[0], []string{"20 Nov 2026, 09:00 UTC", "52.73.143.252", "is retired", "31 Mar 2027, 22:00 UTC"}) {
		t.Errorf("the history is %q", history)
	}
}

func TestThePageHasTheTableThatCustomersKnow(t *testing.T) {
	root := parsed(t, sample())
	got := rows(t, root, "Documented operations")
	if want := []string{"Purpose", "Data Center edition and Server edition", "Cloud edition"}; !slices.Equal(got[0], want) {
		t.Errorf("the headings are %q", got[0])
	}
	if len(got) != 12 {
		t.Errorf("%d purposes, want 11", len(got)-1)
	}
	for _, want := range [][]string{
		{"Get authorized user info, test connectivity", "/rest/api/2/myself (GET)", "/rest/api/3/myself (GET)"},
		{"Retrieve issue types for selected project", "/rest/api/2/issue/createmeta/{projectIdOrKey}/issuetypes (GET)", "/rest/api/3/project/{projectIdOrKey}?expand=issueTypes (GET)"},
		{"Delete a published Jira Issue", "/rest/api/2/issue/{issueIdOrKey} (DELETE)", "/rest/api/3/issue/{issueIdOrKey} (DELETE)"},
	} {
		if !slices.ContainsFunc(got, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("the table lacks %q:\n%q", want, got)
		}
	}
	for _, row := range rows(t, root, "Successors")[1:] {
		if row[1] != "none" || !strings.HasSuffix(row[2], " (GET) off") {
			t.Errorf("the successor %q is not shown as off", row)
		}
	}
}

// Each scope that the catalogue asks for is explained, and no other is listed.
func TestThePageExplainsEachScope(t *testing.T) {
	d := sample()
	got := map[string]string{}
	for _, row := range rows(t, parsed(t, d), "Access scopes")[1:] {
		got[row[0]] = row[1]
	}
	want := map[string]bool{"offline_access": true}
	for _, o := range d.Policy.Operations() {
		if o.Scope != "" {
			want[o.Scope] = true
		}
	}
	if len(want) != 4 || len(got) != len(want) {
		t.Errorf("the scopes are %q, want those of %v", got, want)
	}
	for name := range want {
		if got[name] == "" || strings.HasPrefix(got[name], "See") {
			t.Errorf("%s is not explained: %q", name, got[name])
		}
	}
}

func TestThePageWarnsOfWhatIsAnnounced(t *testing.T) {
	const warning = "Change ahead."
	if !strings.Contains(text(parsed(t, sample())), warning) {
		t.Error("an announced address is not pointed out")
	}
	d := sample()
	d.Entries = slices.DeleteFunc(d.Entries, func(e register.Entry) bool { return e.State(d.Created) == register.StateAnnounced })
	if strings.Contains(text(parsed(t, d)), warning) {
		t.Error("nothing is announced, and the page warns")
	}
}
