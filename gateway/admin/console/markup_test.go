package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

// hostile are texts that somebody could have put anywhere.
var hostile = []string{
	markup, `"><script>alert(1)</script>`, `'"--><svg onload=alert(1)>`, `</textarea></pre></title><b>`, `javascript:alert(1)`, `{{.}}`,
	"\x00", "a\x00<b>", "\xff\xfe<i>", "\xc0\xaf", "\u2028\u202e<u>", "%3Cb%3E", strings.Repeat("<a>", 3000), strings.Repeat("é", 5000), "\r\nSet-Cookie: a=b", "+", "&amp;<", "0", "-1",
}

// suspects are elements and attributes that no page has but by injection.
func suspects(t interface{ Errorf(string, ...any) }, what string, a answer) {
	if a.StatusCode >= 500 {
		t.Errorf("%s: %s", what, a.Status)
	}
	if !utf8.ValidString(a.body) || strings.Contains(a.body, "\x00") {
		t.Errorf("%s: the answer is no proper text", what)
	}
	for _, c := range a.Cookies() {
		if c.Name == "a" {
			t.Errorf("%s: a header field was put in", what)
		}
	}
	a.elements(func(n *html.Node) {
		switch n.Data {
		case "img", "svg", "b", "i", "u", "iframe", "object", "embed", "base", "style":
			t.Errorf("%s: there is a <%s>", what, n.Data)
		case "script":
			if !strings.HasPrefix(attribute(n, "src"), "/console/assets/") {
				t.Errorf("%s: there is a <script> of %q", what, attribute(n, "src"))
			}
		}
		for _, at := range n.Attr {
			v := strings.ToLower(strings.TrimSpace(at.Val))
			if strings.HasPrefix(at.Key, "on") || at.Key == "style" || at.Key != "value" && strings.HasPrefix(v, "javascript:") {
				t.Errorf("%s: there is <%s %s=%q>", what, n.Data, at.Key, at.Val)
			}
		}
	})
}

// parameters are all that an address can have, by path.
var parameters = map[string][]string{
	"/console/":                {"window", "done"},
	"/console/connections":     {"text", "state", "edition", "client", "after", "done"},
	"/console/connect":         {"kind", "done"},
	"/console/connections/off": {"window", "done"},
	"/console/clients":         {"text", "after", "done"},
	"/console/add-client":      {"connection"},
	"/console/clients/billing": {"done"},
	"/console/calls":           {"kind", "decision", "connection", "client", "operation", "code", "status", "text", "since", "until", "before", "day", "done"},
	"/console/policy/explain":  {"method", "url", "connection", "client"},
	"/console/policy/diff":     {"from", "to"},
	"/console/reports":         {"connection", "month"},
	"/console/signin":          {"to"},
	"/console/calls/live":      {"kind!", "decision!"},
}

// Text from outside is text: in records, in reasons of states, in answers of the API,
// in addresses, in forms.
func TestMarkupIsText(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	for _, page := range pages {
		suspects(t, page, b.get(page))
	}
	somebody := h.stranger(t)
	somebody.enter(person{markup, markup + "@example.com", "viewer"})
	if a := somebody.get("/console/"); !strings.Contains(a.body, "onerror=alert(1)&gt;") {
		t.Errorf("the name isn't shown as it is: %s", a.Status)
	} else {
		suspects(t, "a name", a)
	}
	if a := b.get("/console/calls/61"); strings.Count(a.body, "onerror=alert(1)&gt;") < 8 {
		t.Errorf("the record isn't shown as it is:\n%s", a.body)
	}
	if a := b.get("/console/connections/off"); !strings.Contains(a.body, "onerror=alert(1)&gt;") {
		t.Error("the reason of the state isn't shown as it is")
	}
	for path, names := range parameters {
		for _, name := range names {
			for _, value := range hostile {
				a := b.get(path + "?" + url.QueryEscape(strings.TrimSuffix(name, "!")) + "=" + url.QueryEscape(value))
				if strings.HasSuffix(name, "!") && a.StatusCode != http.StatusBadRequest {
					t.Errorf("%s?%s=%q: %s", path, name, value, a.Status)
				}
				suspects(t, path+" "+name+"="+value[:min(20, len(value))], a)
				if name == "done" && a.StatusCode == http.StatusOK && strings.Contains(a.body, `<p class="notice good"`) {
					t.Errorf("%s: done=%q is told", path, value)
				}
			}
		}
	}
	for _, f := range append(deeds, deed{path: "/console/connections/none/remove"}, deed{path: "/console/signin", fields: []string{"token", "x", "form", "x", "to", "x"}}) {
		for i := 1; i < len(f.fields); i += 2 {
			for _, value := range hostile {
				fields := slices.Clone(f.fields)
				fields[i] = value
				suspects(t, "POST "+f.path+" "+fields[i-1], b.post(f.path, fields...))
			}
		}
	}
	for _, value := range hostile[:12] {
		for _, path := range []string{"/console/connections/X", "/console/clients/X", "/console/calls/X", "/console/calls/X/proof", "/console/policy/history/X", "/console/X"} {
			suspects(t, path, b.get(strings.ReplaceAll(path, "X", url.PathEscape(value))))
		}
		for _, path := range []string{"/console/connections/X/remove", "/console/clients/X/remove", "/console/connections/X/disable", "/console/clients/X/rotate", "/console/connections/X/credential", "/console/connections/X/grant"} {
			suspects(t, "POST "+path, b.post(strings.ReplaceAll(path, "X", url.PathEscape(value)), "connection", value, "client", value))
		}
	}
}

// shape is the elements of a page with their attributes' names, without those of tables
// and lists, of which there are more or fewer.
func shape(a answer) map[string]bool {
	all := map[string]bool{}
	a.elements(func(n *html.Node) {
		names := []string{n.Data}
		for _, at := range n.Attr {
			names = append(names, at.Key)
		}
		all[strings.Join(names, " ")] = true
	})
	return all
}

// Whatever the query is, there is a page, of elements that pages have.
func TestAnyQuery(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	known := map[string]bool{}
	for _, page := range append([]string{"/console/calls?before=x", "/console/calls?text=nothing+like+this", "/console/calls?before=1", "/console/connections?text=nothing+like+this", "/console/policy/explain?method=GET&url=x", "/console/calls?connection=acme&since=1h",
		"/console/connections?after=acme", "/console/policy/explain?connection=acme&method=GET&url=https%3A%2F%2Facme.atlassian.net%2Frest%2Fapi%2F3%2Fmyself", "/console/calls?since=2026-01-01T00:00&until=2026-01-02T00:00"}, pages...) {
		for s := range shape(b.get(page)) {
			known[s] = true
		}
	}
	value := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.SampledFrom([]string{"call", "act", "deny", "allow", "acme", "1h", "24h", "2026-11-26T00:00", "Yesterday", "GET", "https://acme.atlassian.net/rest/api/3/myself", "cloud", "active", "-1h", "9999999999999999999", "99999-01-01T00:00"}),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")) }))
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom([]string{"/console/calls", "/console/connections", "/console/policy/explain", "/console/clients", "/console/policy/diff"}).Draw(t, "path")
		var parts []string
		for range rapid.IntRange(0, 4).Draw(t, "parameters") {
			name := rapid.OneOf(rapid.SampledFrom(parameters[path]), value).Draw(t, "name")
			part := url.QueryEscape(name) + "=" + url.QueryEscape(value.Draw(t, "value"))
			if rapid.IntRange(0, 9).Draw(t, "raw") == 0 {
				part = rapid.SampledFrom([]string{"%zz", "a;b", "=", "&", "text", "text=%", "text=<b>", "kind=call&kind=act"}).Draw(t, "part")
			}
			parts = append(parts, part)
		}
		r := b.request(http.MethodGet, "/", "")
		r.URL.Path, r.URL.RawQuery = path, strings.Join(parts, "&")
		if len(r.URL.RawQuery) > 16<<10 {
			t.Skip("the server takes no such header")
		}
		a := b.do(r)
		if a.StatusCode == http.StatusSeeOther {
			to := a.Header.Get("Location")
			if !strings.HasPrefix(to, "/console/calls") {
				t.Fatalf("%s leads to %s", r.URL, to)
			}
			if a = b.get(to); a.StatusCode == http.StatusSeeOther {
				t.Fatalf("%s leads to %s and on", r.URL, to)
			}
		}
		suspects(t, r.URL.String(), a)
		for s := range shape(a) {
			if !known[s] {
				t.Errorf("%s: there is a <%s>", r.URL, s)
			}
		}
	})
}

// What was done is told after it was done, and not because a link from elsewhere says so.
func TestNoticesAreOurs(t *testing.T) {
	b := newHouse(t, setting{}).as(t, "admin")
	for from, want := range map[string]bool{"": true, "same-origin": true, "cross-site": false, "same-site": false, "none": false} {
		request := b.request("GET", "/console/connections?done=removed", "")
		if from != "" {
			request.Header.Set("Sec-Fetch-Site", from)
		}
		if got := strings.Contains(b.do(request).body, "It was removed."); got != want {
			t.Errorf("from %q: told %v", from, got)
		}
	}
}
