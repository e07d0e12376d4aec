package policy

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// withSuccessors are rules that switch everything on.
var withSuccessors = []byte("version: 1\nsuccessors: [createmeta.issuetypes, createmeta.fields]\n")

// grammars restate identifier.go as patterns, so that the tests do not ask the
// code under test what is right.
var grammars = map[string]string{
	"{projectIdOrKey}": `(?:[A-Z][A-Z0-9_]{1,254}|[1-9][0-9]{0,17})`,
	"{issueIdOrKey}":   `(?:[A-Z][A-Z0-9_]{1,254}-[1-9][0-9]{0,17}|[1-9][0-9]{0,17})`,
	"{issueTypeId}":    `[1-9][0-9]{0,17}`,
}

// pattern is what every path of the operation must match.
func pattern(o *Operation) *regexp.Regexp {
	p := regexp.QuoteMeta(o.Path)
	for name, grammar := range grammars {
		p = strings.ReplaceAll(p, regexp.QuoteMeta(name), grammar)
	}
	return regexp.MustCompile(`^` + p + `$`)
}

// checkAllowed is the oracle for an allowed call: path and query are those of
// the catalogue, and what would be sent, decided again, is the same decision.
func checkAllowed(t interface {
	Helper()
	Fatalf(string, ...any)
}, p *Policy, r Request, d *Decision) {
	t.Helper()
	o := d.Operation
	if o.Edition != r.Edition || o.Method != r.Method || d.Detail != "" {
		t.Fatalf("%+v was taken for %s %s of %s (%q)", r, o.Method, o.Path, o.Edition, d.Detail)
	}
	if !pattern(o).MatchString(d.Path()) {
		t.Fatalf("%+v: the rebuilt path %q is not one of %s", r, d.Path(), o.Path)
	}
	query, err := url.ParseQuery(d.RawQuery())
	if err != nil {
		t.Fatalf("%+v: the rebuilt query %q: %v", r, d.RawQuery(), err)
	}
	for name, values := range query {
		q := o.parameter(name)
		if q == nil || len(values) > 1 && !q.Repeatable {
			t.Fatalf("%+v: %q=%q is not documented for %s", r, name, values, o.ID)
		}
		if q.Type == TypeList {
			for _, v := range strings.Split(strings.Join(values, ","), ",") {
				if !slices.Contains(q.Values, v) {
					t.Fatalf("%+v: %q=%q is not documented for %s", r, name, v, o.ID)
				}
			}
		}
	}
	again := r
	again.Path, again.RawQuery = d.Path(), d.RawQuery()
	e := p.Decide(again)
	if e.Operation != o || e.Code != d.Code || e.Path() != d.Path() || e.RawQuery() != d.RawQuery() || !slices.Equal(e.Reported, d.Reported) {
		t.Fatalf("%+v was rebuilt as %+v, which is decided otherwise: %s %s", r, again, e.Code, e.Detail)
	}
}

// call is a documented call with the parts it was made of.
type call struct {
	operation Operation
	request   Request    // spelt in some way
	path      string     // canonical
	query     url.Values // decoded
}

// drawCall draws a documented call: any operation, any identifiers, any
// documented query, some bytes escaped that need not be.
func drawCall(t *rapid.T, p *Policy) call {
	operations := slices.DeleteFunc(p.Operations(), func(o Operation) bool { return !o.Enabled })
	o := operations[rapid.IntRange(0, len(operations)-1).Draw(t, "operation")]
	c := call{operation: o, query: url.Values{}}
	var canonical, spelt []string
	for _, s := range strings.Split(o.Path, "/") {
		as := s
		if grammar, ok := grammars[s]; ok {
			s = rapid.StringMatching(grammar).Draw(t, "identifier")
			as = drawSpelling(t, s)
		}
		canonical, spelt = append(canonical, s), append(spelt, as)
	}
	c.path = strings.Join(canonical, "/")
	var pairs []string
	add := func(q *QueryParameter, value string) {
		c.query.Add(q.Name, value)
		pairs = append(pairs, drawSpelling(t, q.Name)+"="+drawSpelling(t, value))
	}
	name, value, conditional := strings.Cut(o.When, "=")
	if conditional {
		add(o.parameter(name), value)
	}
	for i := range o.Query {
		q := &o.Query[i]
		most := 1
		if q.Repeatable {
			most = 3
		}
		for range rapid.IntRange(0, most).Draw(t, q.Name) {
			add(q, drawValue(t, q))
		}
	}
	c.request = Request{Edition: o.Edition, Method: o.Method, Path: strings.Join(spelt, "/"), RawQuery: strings.Join(pairs, "&")}
	return c
}

// drawValue draws a value that is documented for q.
func drawValue(t *rapid.T, q *QueryParameter) string {
	switch q.Type {
	case TypeInteger:
		return fmt.Sprint(rapid.Int32().Draw(t, "integer"))
	case TypeBoolean:
		return rapid.SampledFrom([]string{"true", "false", "True", "FALSE"}).Draw(t, "boolean")
	case TypeChoice:
		return rapid.SampledFrom(q.Values).Draw(t, "choice")
	case TypeList:
		return strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(q.Values), 1, -1, rapid.ID[string]).Draw(t, "list"), ",")
	}
	return rapid.StringMatching(`[ -~¡-ÿ]{0,40}|ACME|10000|[A-Z]{2,4}-[1-9]`).Draw(t, "text")
}

// drawSpelling escapes what must be escaped in s, and some bytes more.
func drawSpelling(t *rapid.T, s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
		switch {
		case plain && rapid.IntRange(0, 7).Draw(t, "escape") > 0:
			b.WriteByte(c)
		case rapid.Bool().Draw(t, "capitals"):
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// G2: whatever the spelling, what leaves is the canonical form.
func TestDocumentedCallsAreRebuilt(t *testing.T) {
	p := mustNew(t, withSuccessors)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t, p)
		d := p.Decide(c.request)
		if !d.Allowed() {
			t.Fatalf("%+v is refused: %s %s", c.request, d.Code, d.Detail)
		}
		checkAllowed(t, p, c.request, &d)
		if d.Path() != c.path {
			t.Fatalf("rebuilt path %q, want %q", d.Path(), c.path)
		}
		query, _ := url.ParseQuery(d.RawQuery())
		if query.Encode() != c.query.Encode() {
			t.Fatalf("rebuilt query %q, want %q", query.Encode(), c.query.Encode())
		}
	})
}

// G1: one step away from a documented call lies nothing that is allowed.
func TestMutatedCallsAreRefused(t *testing.T) {
	p := mustNew(t, withSuccessors)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t, p)
		r := c.request
		mutation := rapid.SampledFrom([]string{"segment added", "segment removed", "ambiguous bytes", "method", "query name", "query syntax", "edition", "case"}).Draw(t, "mutation")
		switch mutation {
		case "segment added":
			segments := strings.Split(r.Path, "/")
			at := rapid.IntRange(1, len(segments)).Draw(t, "at")
			r.Path = strings.Join(slices.Insert(segments, at, rapid.SampledFrom([]string{"", ".", "..", "x", "ACME", "1", "rest", "%2e"}).Draw(t, "segment")), "/")
		case "segment removed":
			segments := strings.Split(r.Path, "/")
			at := rapid.IntRange(0, len(segments)-1).Draw(t, "at")
			r.Path = strings.Join(slices.Delete(segments, at, at+1), "/")
		case "ambiguous bytes":
			at := rapid.IntRange(0, len(r.Path)).Draw(t, "at")
			bytes := rapid.SampledFrom([]string{"/", "//", "/./", "/../", ";", ";a=b", "%3b", "%2f", "%5C", `\`, "%00", "%0a", "\r\n", "%25", "%2541", "%zz", "\u00fc", "%c0%af", "?", "#", "%3f", "%23", " "}).Draw(t, "bytes")
			r.Path = r.Path[:at] + bytes + r.Path[at:]
		case "method":
			r.Method = rapid.SampledFrom([]string{"HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "", strings.ToLower(r.Method), r.Method + " "}).Draw(t, "method")
		case "query name":
			// On Cloud, properties would make an issuetype.list a project.get.
			name := rapid.StringMatching(`[a-zA-Z_]{1,12}|os_username|jwt`).Filter(func(s string) bool {
				return c.operation.parameter(s) == nil && s != "properties"
			}).Draw(t, "name")
			r.RawQuery = strings.TrimPrefix(r.RawQuery+"&"+name+"=1", "&")
		case "query syntax":
			r.RawQuery += rapid.SampledFrom([]string{"&", "&&", "&=", "&a", ";", "%", "#", " ", "\x00", "&%00=1"}).Draw(t, "bytes")
		case "edition":
			r.Edition = r.Edition.other()
		case "case":
			r.Path = strings.ToUpper(r.Path)
		}
		if d := p.Decide(r); d.Allowed() {
			if removed := mutation == "segment removed" || mutation == "segment added"; removed && d.Operation.ID != c.operation.ID {
				checkAllowed(t, p, r, &d) // another documented call, e.g. project/X without /components
				return
			}
			t.Fatalf("%s: %+v is allowed as %s", mutation, r, d.Operation.ID)
		} else if d.Detail == "" || !slices.ContainsFunc(Codes(), func(m CodeMeaning) bool { return m.Code == d.Code }) {
			t.Fatalf("%+v is refused as %q, %q", r, d.Code, d.Detail)
		}
	})
}

// G1: bytes drawn without regard to the grammar are refused, or are documented.
func TestArbitraryTargetsAreRefused(t *testing.T) {
	p := mustNew(t, withSuccessors)
	pieces := rapid.SampledFrom([]string{"/rest", "/api", "/2", "/3", "/latest", "/project", "/search", "/issue", "/createmeta", "/issuetypes", "/components",
		"/myself", "/priority", "/user", "/picker", "/assignable", "/ACME", "/ACME-1", "/10000", "/acme", "/", "/..", ";", "%2f", "%41", "%", "A", "."})
	prefix := rapid.SampledFrom([]string{"", "/rest/api/2", "/rest/api/3", "/rest/api/3/project", "/rest/api/2/issue"})
	rapid.Check(t, func(t *rapid.T) {
		r := Request{
			Edition: rapid.SampledFrom([]Edition{Cloud, DataCenter}).Draw(t, "edition"),
			Method:  rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"),
			Path:    prefix.Draw(t, "prefix") + strings.Join(rapid.SliceOfN(pieces, 0, 4).Draw(t, "path"), ""),
		}
		if d := p.Decide(r); d.Allowed() {
			checkAllowed(t, p, r, &d)
		}
	})
}

// A policy can only narrow: what it allows, the catalogue with the same
// successors allows, and sends the same.
func TestRulesOnlyNarrow(t *testing.T) {
	wide := mustNew(t, withSuccessors)
	rapid.Check(t, func(t *rapid.T) {
		narrow := mustNew(t, []byte(drawRules(t, wide.ids)))
		c := drawCall(t, wide)
		c.request.Connection = rapid.SampledFrom([]string{"acme", "globex"}).Draw(t, "connection")
		c.request.Client = rapid.SampledFrom([]string{"billing", "crm"}).Draw(t, "client")
		checkNarrower(t, narrow, wide, c.request)
	})
}

// checkNarrower checks that narrow allows r only if wide does.
func checkNarrower(t interface {
	Helper()
	Fatalf(string, ...any)
}, narrow, wide *Policy, r Request) {
	t.Helper()
	n, w := narrow.Decide(r), wide.Decide(r)
	if n.Allowed() && (!w.Allowed() || n.Operation.ID != w.Operation.ID || n.Path() != w.Path() || n.RawQuery() != w.RawQuery()) {
		t.Fatalf("%+v: narrowed %s %s?%s, otherwise %q %s?%s", r, n.Operation.ID, n.Path(), n.RawQuery(), w.Code, w.Path(), w.RawQuery())
	}
	for _, body := range []string{`{"fields":{"project":{"key":"ACME"}}}`, `{"fields":{}}`, `{}`} {
		nb, nd := narrow.DecideBody(n, r, "application/json", []byte(body))
		wb, wd := wide.DecideBody(w, r, "application/json", []byte(body))
		if nd.Allowed() && (!wd.Allowed() || string(nb) != string(wb)) {
			t.Fatalf("%+v: narrowed body %q, otherwise %q", r, nb, wb)
		}
	}
}

// drawRules draws the text of a policy file with all successors on.
func drawRules(t *rapid.T, ids []string) string {
	var b strings.Builder
	b.Write(withSuccessors)
	n := rapid.IntRange(0, 4).Draw(t, "rules")
	if n > 0 {
		b.WriteString("rules:\n")
	}
	list := func(key string, from ...string) bool {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 3, rapid.ID[string]).Draw(t, key)
		if len(names) == 0 {
			return false
		}
		fmt.Fprintf(&b, "    %s: [%s]\n", key, strings.Join(names, ", "))
		return true
	}
	for i := range n {
		fmt.Fprintf(&b, "  - name: rule-%d\n", i)
		list("connections", "acme", "globex")
		list("clients", "billing", "crm")
		projects := list("projects", "ACME", "OPS", "10000", `"7"`)
		if !list("deny", ids...) && !projects {
			b.WriteString("    deny: [issue.delete]\n")
		}
		if rapid.Bool().Draw(t, "report") {
			b.WriteString("    mode: report\n")
		}
	}
	return b.String()
}
