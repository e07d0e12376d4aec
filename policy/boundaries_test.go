package policy

import (
	"fmt"
	"strings"
	"testing"
)

// What lies right beside each limit and each set of bytes: where a mutant of the
// code (internal/mutation) differs from it by one.

// The limits are documented with these numbers, for those who call the gateway.
func TestLimitsAreTheDocumentedOnes(t *testing.T) {
	for name, tt := range map[string]struct{ got, want int }{
		"MaxPath":            {MaxPath, 4096},
		"MaxQuery":           {MaxQuery, 8192},
		"MaxQueryParameters": {MaxQueryParameters, 100},
		"MaxQueryValue":      {MaxQueryValue, 1024},
		"MaxBody":            {MaxBody, 1048576},
		"MaxBodyDepth":       {MaxBodyDepth, 64},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %d, want %d", name, tt.got, tt.want)
		}
	}
}

func TestEveryByteOfAPath(t *testing.T) {
	// pchar of RFC 3986 without the percent sign and the semicolon.
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@"
	const separators = `/\%;?#`
	for b := range 256 {
		c := string([]byte{byte(b)})
		if c != "/" { // which is no part of a segment
			var p target
			if problem := p.parse("/A" + c + "A"); (problem == "") != strings.Contains(plain, c) {
				t.Errorf("the byte 0x%02x unescaped: %q", b, problem)
			}
		}
		for _, escape := range []string{fmt.Sprintf("%%%02x", b), fmt.Sprintf("%%%02X", b)} {
			var p target
			allowed := b >= 0x20 && b <= 0x7e && !strings.Contains(separators, c)
			if problem := p.parse("/A" + escape + "A"); (problem == "") != allowed {
				t.Errorf("%s: %q", escape, problem)
			}
			if got := decodeSegment("A" + escape + "B"); got != "A"+c+"B" {
				t.Errorf("%s is decoded as %q", escape, got)
			}
		}
	}
}

// One bad digit is enough, whatever the other one says.
func TestEveryDigitOfAnEscape(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		hex := strings.Contains("0123456789abcdefABCDEF", c)
		for _, escape := range []string{"%" + c + "1", "%4" + c} {
			if _, ok := unhex(escape); ok != hex {
				t.Errorf("%q is an escape: %t", escape, ok)
			}
		}
	}
}

func TestPathsAtTheEdge(t *testing.T) {
	p := Default()
	for _, tt := range []struct {
		name, path string
		code       Code
		detail     string // part of it
	}{
		{"as long as may be", "/" + strings.Repeat("a", 4095), CodeOperationNotDocumented, ""},
		{"a byte longer", "/" + strings.Repeat("a", 4096), CodePathMalformed, "4097 bytes"},
		{"three dots are a name", "/rest/api/3/project/...", CodeParameterMalformed, ""},
		{"three dots, escaped", "/rest/api/3/project/%2e%2e%2e", CodeParameterMalformed, ""},
		{"a dot after a letter", "/rest/api/3/project/A.", CodeParameterMalformed, ""},
		{"a dot before a letter", "/rest/api/3/project/.A", CodeParameterMalformed, ""},
		{"empty segment", "/rest//api", CodePathMalformed, "empty segment"},
		{"second digit of an escape is none", "/rest/api/3/project/%4g", CodePathMalformed, "two hexadecimal digits"},
		{"first digit of an escape is none", "/rest/api/3/project/%g4", CodePathMalformed, "two hexadecimal digits"},
		{"escape cut off", "/rest/api/3/project/%4", CodePathMalformed, "two hexadecimal digits"},
		{"version alone", "/rest/api/2", CodeOperationNotDocumented, "documented below /rest/api/3 only"},
		{"no version", "/rest/api", CodeOperationNotDocumented, "policy list"},
		{"not below rest", "/x/api/2/myself", CodeOperationNotDocumented, "policy list"},
		{"not below api", "/rest/x/2/myself", CodeOperationNotDocumented, "policy list"},
		{"this version", "/rest/api/3/nothing", CodeOperationNotDocumented, "policy list"},
		{"key of 255", "/rest/api/3/project/" + strings.Repeat("A", 255), "", ""},
		{"key of 256", "/rest/api/3/project/" + strings.Repeat("A", 256), CodeParameterMalformed, ""},
		{"key of 2", "/rest/api/3/project/AZ", "", ""},
		{"id of 18 digits", "/rest/api/3/project/999999999999999999", "", ""},
		{"id of 19 digits", "/rest/api/3/project/1000000000000000000", CodeParameterMalformed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: tt.path})
			if d.Code != tt.code || !strings.Contains(d.Detail, tt.detail) {
				t.Errorf("%q (%s), want %q with %q", d.Code, d.Detail, tt.code, tt.detail)
			}
		})
	}
}

// Keys and ids byte by byte: what is beside the letters and digits is refused.
func TestEveryByteOfAnIdentifier(t *testing.T) {
	const (
		capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		digits   = "0123456789"
	)
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, tt := range []struct {
			kind   identifier
			s      string
			passes bool
		}{
			{projectIDOrKey, c + "A", strings.Contains(capitals, c)},
			{projectIDOrKey, "A" + c, strings.Contains(capitals+digits+"_", c)},
			{projectIDOrKey, "AA" + c + "A", strings.Contains(capitals+digits+"_", c)},
			{projectIDOrKey, "1" + c, strings.Contains(digits, c)},
			{issueTypeID, c + "1", strings.Contains("123456789", c)},
			{issueTypeID, "1" + c, strings.Contains(digits, c)},
			{issueIDOrKey, c + "1", strings.Contains("123456789", c)},
			{issueIDOrKey, "AA-" + c, strings.Contains("123456789", c)},
			{issueIDOrKey, "AA" + c + "1", c == "-"},
			{"", "A" + c, false},
		} {
			if got := tt.kind.matches(tt.s); got != tt.passes {
				t.Errorf("%q is a %s: %t", tt.s, tt.kind, got)
			}
		}
		if got, want := isName(c), strings.Contains("abcdefghijklmnopqrstuvwxyz"+digits, c); got != want {
			t.Errorf("%q is a name: %t", c, got)
		}
		if got, want := isName("a"+c), strings.Contains("abcdefghijklmnopqrstuvwxyz._-"+digits, c); got != want {
			t.Errorf("%q is a name: %t", "a"+c, got)
		}
	}
}

func TestEveryByteOfAQuery(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		if !strings.Contains("%&=+", c) {
			_, problem := parseQuery("name=a" + c + "b")
			if allowed := b > 0x20 && b < 0x7f && !strings.Contains(";#", c); (problem == "") != allowed {
				t.Errorf("the byte 0x%02x unescaped: %q", b, problem)
			}
		}
		query, problem := parseQuery(fmt.Sprintf("na%%%02xme=a%%%02Xb", b, b))
		if allowed := b >= 0x20 && b < 0x7f; (problem == "") != allowed {
			t.Errorf("%%%02x: %q", b, problem)
		} else if allowed && (len(query) != 1 || query[0] != pair{"na" + c + "me", "a" + c + "b"}) {
			t.Errorf("%%%02x is decoded as %q", b, query)
		}
		integer := &QueryParameter{Type: TypeInteger}
		digit := strings.Contains("0123456789", c)
		if integer.accepts(c) != digit || integer.accepts("1"+c) != digit || integer.accepts(c+"1") != (digit || c == "-") {
			t.Errorf("the byte 0x%02x in a number", b)
		}
	}
	if query, problem := parseQuery("a+b=c+d"); problem != "" || query[0] != (pair{"a b", "c d"}) {
		t.Errorf("a plus sign is decoded as %q: %s", query, problem)
	}
}

func TestQueriesAtTheEdge(t *testing.T) {
	// fill is a query of so many bytes: nine of its parameters are long.
	fill := func(bytes int) string {
		long := strings.Repeat("keys="+strings.Repeat("A", 900)+"&", 8)
		return long + "keys=" + strings.Repeat("A", bytes-len(long)-len("keys="))
	}
	for _, tt := range []struct {
		name, query string
		detail      string // "" if it is allowed
	}{
		{"8192 bytes", fill(8192), ""},
		{"8193 bytes", fill(8193), "8193 bytes"},
		{"100 parameters", strings.Repeat("keys=A&", 99) + "keys=A", ""},
		{"101 parameters", strings.Repeat("keys=A&", 100) + "keys=A", "101 parameters"},
		{"a value of 1024", "query=" + strings.Repeat("a", 1024), ""},
		{"a value of 1025", "query=" + strings.Repeat("a", 1025), "1025 bytes"},
		{"18 digits", "startAt=999999999999999999", ""},
		{"19 digits", "startAt=1000000000000000000", "a whole number"},
		{"a name twice", "query=a&startAt=1&query=b", "send it once"},
		{"unknown name", "nonsense=1", "documented: startAt"},
		{"second digit of an escape is none", "query=%4g", "two hexadecimal digits"},
		{"first digit of an escape is none", "query=%g4", "two hexadecimal digits"},
		{"a bad escape in a name", "quer%4g=1", "two hexadecimal digits"},
		{"DEL", "query=\x7f", "0x7f unescaped"},
		{"not UTF-8", "query=%ff", "not UTF-8"},
		{"control character", "query=%01", "control character"},
		{"choice", "action=browse", ""},
		{"unknown choice", "action=brows", "one of view"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Default().Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/search", RawQuery: tt.query})
			if d.Allowed() != (tt.detail == "") || !strings.Contains(d.Detail, tt.detail) {
				t.Errorf("%q (%s), want %q", d.Code, d.Detail, tt.detail)
			}
		})
	}
}

// A rule is asked about calls that the catalogue allows, and no others: what would
// have been refused anyhow is not reported as if the rule had been the reason.
func TestRulesAreNotAskedAboutWhatIsRefused(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - {name: all, mode: report, projects: [OTHER], deny: [createmeta.issuetypes, project.get]}\n"))
	for _, r := range []Request{
		{Path: "/rest/api/3/project/ACME", RawQuery: "expand=%zz"},
		{Path: "/rest/api/3/project/ACME", RawQuery: "nonsense=1"},
		{Path: "/rest/api/3/issue/createmeta/ACME/issuetypes"},
	} {
		r.Edition, r.Method = Cloud, "GET"
		if d := p.Decide(r); d.Allowed() || d.Reported != nil {
			t.Errorf("%s?%s: %q, reported %v", r.Path, r.RawQuery, d.Code, d.Reported)
		}
	}
}

// The condition of an operation is about one parameter: another one with the same
// value doesn't meet it.
func TestConditionsNameTheirParameter(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - {name: types, deny: [issuetype.list]}\n"))
	for query, code := range map[string]Code{
		"properties=issueTypes":             "",
		"properties=issueTypes&expand=lead": "",
		"properties=a&expand=issueTypes":    CodeOperationSwitchedOff,
	} {
		d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: query})
		if d.Code != code {
			t.Errorf("%s: %q (%s), want %q", query, d.Code, d.Detail, code)
		}
	}
}

// As it nearly always is, the path that was asked for is the one to send.
func TestCanonicalPathIsNotBuiltAgain(t *testing.T) {
	for _, r := range []Request{
		{Edition: Cloud, Path: "/rest/api/3/project/ACME/components"},
		{Edition: DataCenter, Path: "/rest/api/2/issue/createmeta/ACME/issuetypes/10001"},
	} {
		r.Method = "GET"
		d := Default().Decide(r)
		if n := testing.AllocsPerRun(100, func() { d.Path() }); n > 0 || d.Path() != r.Path {
			t.Errorf("%s: %v allocations, sent as %s", r.Path, n, d.Path())
		}
	}
}

func TestLongestKeyEscaped(t *testing.T) {
	const before = "/rest/api/3/project/"
	key := strings.Repeat("A", 255)
	d := Default().Decide(Request{Edition: Cloud, Method: "GET", Path: before + "%41" + key[1:]})
	if got := d.Path(); got != before+key {
		t.Errorf("sent as %s (%s)", got, d.Detail)
	}
}

func TestDenialKeepsItsFirstReason(t *testing.T) {
	var d Decision
	d.deny(CodeBodyRequired, "one")
	d.deny(CodeBodyTooLarge, "two")
	if d.Code != CodeBodyRequired || d.Detail != "one" {
		t.Errorf("%q (%s)", d.Code, d.Detail)
	}
}

// The first of the catalogue and the last as well as those between them.
func TestEveryOperationCanBeSwitchedOff(t *testing.T) {
	const successors = "version: 1\nsuccessors: [createmeta.issuetypes, createmeta.fields]\n"
	for _, o := range mustNew(t, []byte(successors)).Operations() {
		p := mustNew(t, []byte(successors+"rules:\n  - {name: off, deny: ["+o.ID+"]}\n"))
		for _, got := range p.Operations() {
			if got.Enabled == (got.ID == o.ID) {
				t.Errorf("with %s off: %s of %s is on: %t", o.ID, got.ID, got.Edition, got.Enabled)
			}
		}
	}
}

// What no operation of the catalogue has takes nothing.
func TestParametersOfNoType(t *testing.T) {
	if q := (&QueryParameter{Type: "nonsense"}); q.accepts("") || q.accepts("a") {
		t.Error("a parameter of an unknown type takes values")
	}
	if got := (&QueryParameter{Type: TypeText}).grammar(); got != "text" {
		t.Errorf("text is described as %q", got)
	}
}

// A rule switches off what it lists, and not what is found on the same path.
func TestRulesSwitchOffWhatTheyList(t *testing.T) {
	for _, tt := range []struct {
		deny, query string
		want        Code
	}{
		{"project.get", "", CodeOperationSwitchedOff},
		{"project.get", "expand=issueTypes", ""},
		{"issuetype.list", "", ""},
		{"issuetype.list", "expand=issueTypes", CodeOperationSwitchedOff},
		{"issuetype.list", "expand=issueTypes&properties=a", CodeOperationSwitchedOff}, // a project.get, but with issue types
		{"myself.get", "expand=issueTypes&properties=a", ""},
		{"myself.get", "expand=issueTypes", ""},
	} {
		p := mustNew(t, []byte("version: 1\nrules:\n  - {name: off, deny: ["+tt.deny+"]}\n"))
		d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: tt.query})
		if d.Code != tt.want {
			t.Errorf("%s is off, %q: %q (%s), want %q", tt.deny, tt.query, d.Code, d.Detail, tt.want)
		}
	}
}

func TestLimitsSayWhatTheyAllow(t *testing.T) {
	const ten = "AA, BB, CC, DD, EE, FF, GG, HH, II, JJ"
	for _, tt := range []struct{ projects, method, path, want string }{
		{"AA, BB", "GET", "/rest/api/3/project/ZZ", `"ZZ" is outside the limit (the operator's rule "limit" allows: AA, BB)`},
		{ten, "GET", "/rest/api/3/project/ZZ", "allows: " + ten + ")"},
		{ten + ", KK", "GET", "/rest/api/3/project/ZZ", "allows: " + ten + " and 1 more)"},
		{"AA", "DELETE", "/rest/api/3/issue/10000", "does not tell the issue's project"},
		{"AA", "DELETE", "/rest/api/3/issue/ZZ-1", `the project "ZZ" is outside`},
	} {
		p := mustNew(t, []byte("version: 1\nrules:\n  - {name: limit, projects: ["+tt.projects+"]}\n"))
		d := p.Decide(Request{Edition: Cloud, Method: tt.method, Path: tt.path})
		if d.Code != CodeProjectNotAllowed || !strings.Contains(d.Detail, tt.want) {
			t.Errorf("%s: %q (%s), want something with %q", tt.path, d.Code, d.Detail, tt.want)
		}
	}
}

func TestOperationsForTellsWhatIsOff(t *testing.T) {
	for rules, want := range map[string]bool{
		"{name: r, projects: [ACME]}":                                  true, // a limit switches nothing off
		"{name: r, deny: [project.get]}":                               false,
		"{name: r, deny: [project.get], connections: [acme]}":          false,
		"{name: r, deny: [project.get], connections: [other]}":         true,
		"{name: r, deny: [project.get], clients: [billing]}":           true, // not for all of the connection
		"{name: r, deny: [project.get], mode: report}":                 true,
		"{name: r, deny: [project.list]}":                              true,
		"{name: r, deny: [project.get, issue.create], projects: [AA]}": false,
	} {
		p := mustNew(t, []byte("version: 1\nrules:\n  - "+rules+"\n"))
		for _, o := range p.OperationsFor("acme", Cloud) {
			switch {
			case o.ID == "project.get" && o.Enabled != want:
				t.Errorf("%s: project.get is on: %t", rules, o.Enabled)
			case o.ID == "createmeta.issuetypes" && o.Enabled:
				t.Errorf("%s: a successor that nobody switched on is on", rules)
			}
		}
	}
}
