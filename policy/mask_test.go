package policy

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// named shows what an identifier was taken for.
func named(name, value string) string { return "<" + name + "=" + value + ">" }

func TestMapIdentifiers(t *testing.T) {
	p := Default()
	for _, tt := range []struct {
		name      string
		edition   Edition
		operation string
		path      string
		want      string
	}{
		{"matched", Cloud, "issue.delete", "/rest/api/3/issue/ACME-1", "/rest/api/3/issue/<issueIdOrKey=ACME-1>"},
		{"matched, without identifiers", Cloud, "myself.get", "/rest/api/3/myself", "/rest/api/3/myself"},
		{"two identifiers", DataCenter, "field.list", "/rest/api/2/issue/createmeta/ACME/issuetypes/10001",
			"/rest/api/2/issue/createmeta/<projectIdOrKey=ACME>/issuetypes/<issueTypeId=10001>"},
		{"an id that looks like a version", DataCenter, "issue.delete", "/rest/api/2/issue/2", "/rest/api/2/issue/<issueIdOrKey=2>"},
		{"matched, refused for its query, spelled otherwise", Cloud, "issue.delete", "/rest/api/3/issue/%41CME-1", "/rest/api/3/issue/<issueIdOrKey=ACME-1>"},
		{"operation of the other edition", Cloud, "issue.delete", "/rest/api/2/issue/ACME-1", "/rest/api/2/issue/<=ACME-1>"},
		{"another operation", Cloud, "project.get", "/rest/api/3/issue/ACME-1", "/rest/api/3/issue/<=ACME-1>"},
		{"operation of a URL", Cloud, "issue.delete", "https://acme.atlassian.net/rest/api/3/issue/ACME-1", "https://acme.atlassian.net/rest/api/3/issue/<=ACME-1>"},
		{"operation, identifier missing", Cloud, "issue.delete", "/rest/api/3/issue/", "/rest/api/3/issue/"},
		{"operation, something before the first slash", Cloud, "issue.delete", "x/rest/api/3/issue/ACME-1", "<=x>/rest/api/3/issue/<=ACME-1>"},

		{"no operation", Cloud, "", "/rest/api/3/issue/ACME-1/comment/7", "/rest/api/3/issue/<=ACME-1>/<=comment>/<=7>"},
		{"no operation, id that looks like a version", Cloud, "", "/rest/api/3/issue/3", "/rest/api/3/issue/<=3>"},
		{"unknown version", DataCenter, "", "/rest/api/latest/issue/ACME-1", "/rest/api/<=latest>/issue/<=ACME-1>"},
		{"decoded once", Cloud, "", "/rest/api/3/issue/%2541CME-1", "/rest/api/3/issue/<=%41CME-1>"},
		{"escapes that are none", Cloud, "", "/rest/api/3/issue/%41CME-%1", "/rest/api/3/issue/<=%41CME-%1>"},
		{"an escaped slash", Cloud, "", "/rest/api/3/issue%2FACME-1", "/rest/api/3/<=issue/ACME-1>"},
		{"path parameters", Cloud, "", "/rest/api/3/issue;x=1/ACME-1", "/rest/api/3/<=issue;x=1>/<=ACME-1>"},
		{"empty segments", Cloud, "", "//rest//ACME-1/", "//rest//<=ACME-1>/"},
		{"empty", Cloud, "", "", ""},
		{"root", Cloud, "", "/", "/"},
		{"every resource", Cloud, "", "*", "*"},
		{"no slash at the start", Cloud, "", "rest/api/3/ACME-1", "rest/api/3/<=ACME-1>"},
		{"an at sign", Cloud, "", "/rest/api/3/user/a@b", "/rest/api/3/user/<=a@b>"},
		{"query alone", Cloud, "", "?jql=x", ""},
		{"query and fragment", Cloud, "", "/rest/api/3/issue/ACME-1?jql=x", "/rest/api/3/issue/<=ACME-1>"},
		{"fragment", Cloud, "issue.delete", "/rest/api/3/issue/ACME-1#c", "/rest/api/3/issue/<issueIdOrKey=ACME-1>"},

		{"URL", "", "", "https://acme.atlassian.net/rest/api/3/issue/ACME-1", "https://acme.atlassian.net/rest/api/3/issue/<=ACME-1>"},
		{"URL with port and no path", "", "", "http://[2001:db8::1]:8443", "http://[2001:db8::1]:8443"},
		{"URL with user info", "", "", "https://u:p@acme.atlassian.net/x", "https://acme.atlassian.net/<=x>"},
		{"URL of a host that is none", "", "", "https://AC ME-1/rest", "https://<=AC ME-1>/rest"},
		{"URL without a host", "", "", "https:///x@y", "https:///<=x@y>"},
		{"a scheme alone", "", "", "https", "<=https>"},
		{"another scheme", "", "", "ftp://acme/x", "<=ftp:>//<=acme>/<=x>"},
		{"a URL in a path", Cloud, "", "/https://acme/x", "/<=https:>//<=acme>/<=x>"},
		{"base-URL door", "", "", "/c/acme/rest/api/3/issue/ACME-1", "/<=c>/<=acme>/rest/api/3/issue/<=ACME-1>"},

		{"CONNECT", "", "", "jira.acme.example:443", "jira.acme.example:443"},
		{"CONNECT to an address", "", "", "[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"CONNECT with user info", "", "", "u:p@jira.acme.example:443", "jira.acme.example:443"},
		{"CONNECT without port", "", "", "ACME-1", "<=ACME-1>"},
		{"CONNECT to the shortest host", "", "", "a:1", "a:1"},
		{"CONNECT without a host", "", "", ":443", "<=:443>"},
		{"CONNECT to an empty port", "", "", "ACME:", "<=ACME:>"},
		{"CONNECT to a host that is none", "", "", "AC ME-1:443", "<=AC ME-1:443>"},
		{"CONNECT to a port that is none", "", "", "ACME:x1", "<=ACME:x1>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.MapIdentifiers(tt.edition, tt.operation, tt.path, named); got != tt.want {
				t.Errorf("%q became %q, want %q", tt.path, got, tt.want)
			}
		})
	}
}

func TestMapIdentifiersOfAnEndlessPath(t *testing.T) {
	calls := 0
	got := Default().MapIdentifiers(Cloud, "", strings.Repeat("/ACME-1", 5000), func(_, _ string) string { calls++; return "x" })
	if want := strings.Repeat("/x", 64) + "/…"; got != want || calls != 64 {
		t.Errorf("%d calls, %q", calls, got)
	}
	longest := strings.Repeat("/ACME-1", 64)
	if got := Default().MapIdentifiers(Cloud, "", longest, func(_, value string) string { return value }); got != longest {
		t.Errorf("64 segments became %q", got)
	}
}

func TestEveryByteOfAHost(t *testing.T) {
	p := Default()
	for b := range 256 {
		c := string([]byte{byte(b)})
		digit := strings.Contains("0123456789", c)
		if got := hostBytes("a" + c + "a"); got != (digit || strings.Contains("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._:[]", c)) {
			t.Errorf("the byte 0x%02x stands in a host: %t", b, got)
		}
		if strings.Contains("/?#@", c) { // where no port is
			continue
		}
		if connect := "acme:" + c; (p.MapIdentifiers("", "", connect, named) == connect) != digit {
			t.Errorf("%q is taken for a host and port: %t", connect, !digit)
		}
	}
}

func TestRecordedValues(t *testing.T) {
	for s, want := range map[string]string{
		"":       "",
		"ACME":   "ACME",
		"%41%42": "AB",
		"%4142":  "A42",
		"%zz":    "%zz",
		"%41%zz": "%41%zz", // one bad escape is enough
		"%41%4":  "%41%4",
		"%2541":  "%41",
	} {
		if got := recordedValue(s); got != want {
			t.Errorf("%q is recorded as %q, want %q", s, got, want)
		}
	}
}

// Of a documented call exactly the parameters are identifiers, by their names,
// however they were spelled.
func TestMapIdentifiersOfDocumentedCalls(t *testing.T) {
	p := mustNew(t, withSuccessors)
	rapid.Check(t, func(t *rapid.T) {
		o := rapid.SampledFrom(p.Operations()).Draw(t, "operation")
		var path, want []string
		for s := range strings.SplitSeq(o.Path, "/") {
			grammar, ok := grammars[s]
			if !ok {
				path, want = append(path, s), append(want, s)
				continue
			}
			value := rapid.StringMatching(grammar).Draw(t, "value")
			spelled := value
			if rapid.Bool().Draw(t, "escaped") {
				spelled = "%" + strings.ToUpper(hexOf(value[0])) + value[1:]
			}
			path, want = append(path, spelled), append(want, named(strings.Trim(s, "{}"), value))
		}
		got := p.MapIdentifiers(o.Edition, o.ID, strings.Join(path, "/"), named)
		if got != strings.Join(want, "/") {
			t.Fatalf("%s of %s became %s", strings.Join(path, "/"), o.ID, got)
		}
	})
}

func hexOf(c byte) string { return string([]byte{"0123456789abcdef"[c>>4], "0123456789abcdef"[c&15]}) }

// FuzzMapIdentifiers: under a constant, nothing is left of a path but words of the
// catalogue, scheme, host and port; and f sees each identifier decoded.
func FuzzMapIdentifiers(f *testing.F) {
	for _, tt := range realistic {
		f.Add(tt.edition == Cloud, "", tt.path)
		f.Add(tt.edition == Cloud, "issue.delete", "https://acme.atlassian.net"+tt.path)
	}
	for _, tt := range hostilePaths {
		f.Add(tt.edition == Cloud, "project.get", tt.path)
	}
	f.Add(true, "", "u:p@jira.acme.example:443")
	p := Default()
	words := []string{"", "rest", "api", "☂", "…"}
	for _, o := range p.operations {
		for _, s := range o.segments[3:] {
			words = append(words, s.literal) // "" of a parameter
		}
	}
	f.Fuzz(func(t *testing.T, cloud bool, operation, path string) {
		edition := DataCenter
		if cloud {
			edition = Cloud
		}
		var values []string
		got := p.MapIdentifiers(edition, operation, path, func(_, value string) string {
			values = append(values, value)
			return "☂"
		})
		if strings.ContainsAny(got, "?#@") {
			t.Fatalf("%q became %q", path, got)
		}
		left := got
		if u, err := url.Parse(got); err == nil && u.Host != "" && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")) {
			_, left, _ = strings.Cut(got, "://")
			left = strings.TrimPrefix(left, u.Host)
		} else if scheme, rest, ok := strings.Cut(got, "://"); ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
			host, _, _ := strings.Cut(rest, "/")
			if !hostBytes(host) && host != "☂" {
				t.Fatalf("%q became %q", path, got)
			}
			left = strings.TrimPrefix(rest, host)
		} else if got == "*" || !strings.Contains(got, "/") && hostBytes(got) {
			left = ""
		}
		segments := strings.Split(left, "/")
		for i, s := range segments {
			version := i >= 2 && segments[i-2] == "rest" && segments[i-1] == "api" && (s == "2" || s == "3")
			if !slices.Contains(words, s) && !version {
				t.Fatalf("%q became %q, in which %q is left", path, got, s)
			}
		}
		for _, v := range values {
			if v == "" {
				t.Fatalf("%q: an empty identifier", path)
			}
		}
	})
}
