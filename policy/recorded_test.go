package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elsewhere is the hash of a policy that is none of those under test.
var elsewhere = strings.Repeat("0", 64)

// record makes of a call what a call record holds of it: no values, no body.
func record(p *Policy, r Request, body []byte) Recorded {
	d := p.Decide(r)
	path := r.Path
	if d.Allowed() {
		path = d.Path()
		_, d = p.DecideBody(d, r, "application/json", body)
	}
	recorded := Recorded{
		Edition: r.Edition, Method: r.Method, Path: path, QueryNames: d.QueryNames(),
		Client: r.Client, Connection: r.Connection, PolicySHA256: p.SHA256(), Allowed: d.Allowed(), Code: d.Code,
	}
	if d.Operation != nil {
		recorded.Operation = d.Operation.ID
	}
	return recorded
}

// truth is what p decides about a call of which everything is known.
func truth(p *Policy, r Request, body []byte) Decision {
	d := p.Decide(r)
	if d.Allowed() {
		_, d = p.DecideBody(d, r, "application/json", body)
	}
	return d
}

// withoutIdentifiers keeps the identifiers of a documented path out of it, as a
// pseudonym or by their names.
func withoutIdentifiers(p *Policy, r Recorded, pseudonym bool) Recorded {
	_, op := p.recordedOperation(&r)
	if op == nil {
		return r
	}
	segments := strings.Split(r.Path, "/")[1:]
	for i, s := range op.segments {
		switch {
		case s.parameter == "":
		case pseudonym:
			segments[i] = "~5f2a9c"
		default:
			segments[i] = "{" + string(s.parameter) + "}"
		}
	}
	r.Path = "/" + strings.Join(segments, "/")
	return r
}

func TestRecordedCallsAreReconsidered(t *testing.T) {
	const rules = `
version: 1
rules:
  - {name: no-deletes, deny: [issue.delete], connections: [reads, careful]}
  - {name: no-types, deny: [issuetype.list], connections: [types]}
  - {name: no-projects, deny: [project.get], connections: [types]}
  - {name: only-types, deny: [issuetype.list], connections: [typed, careful]}
  - {name: acme, projects: ["10000", ACME], connections: [limited, both, careful]}
  - {name: three, projects: [ACME, OPS, "10000"], connections: [shared]}
  - {name: ops, projects: [OPS], connections: [both, shared]}
  - {name: trial, projects: [ACME], connections: [trial, ids], mode: report}
  - {name: by-id, projects: ["10000"], connections: [ids]}
  - {name: first, projects: ["1"], connections: [first]}
  - {name: types-and-projects, deny: [issuetype.list], projects: [ACME], connections: [narrow]}
`
	type outcome = Outcome
	p := mustNew(t, []byte(rules))
	allowed := func(connection, method, operation, path string, names ...string) Recorded {
		return Recorded{Edition: Cloud, Method: method, Operation: operation, Path: path, QueryNames: names, Connection: connection, Client: "billing", PolicySHA256: elsewhere, Allowed: true}
	}
	refused := func(code Code, r Recorded) Recorded {
		r.Allowed, r.Code = false, code
		return r
	}
	undecidable := func(code Code, rule, why string) Outcome { return Outcome{VerdictUndecidable, code, rule, why} }
	const (
		path      = "a project limit looks at the identifiers of the path, which were kept out of the record"
		body      = "a project limit looks at the body, which is not recorded"
		unseen    = "the call was refused before its body was looked at, and bodies are not recorded"
		condition = "issuetype.list is switched off, and whether the query had expand=issueTypes is not recorded"
		project   = "/rest/api/3/project/"
	)
	tests := []struct {
		name string
		r    Recorded
		want Outcome
	}{
		{"no rule is about the call", allowed("free", "GET", "priority.list", "/rest/api/3/priority"), outcome{Verdict: VerdictSame}},
		{"an operation is switched off", allowed("reads", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), outcome{VerdictRefused, CodeOperationSwitchedOff, "no-deletes", ""}},
		{"a successor is off", allowed("free", "GET", "createmeta.issuetypes", "/rest/api/3/issue/createmeta/ACME/issuetypes"), outcome{Verdict: VerdictRefused, Code: CodeOperationSwitchedOff}},
		{"the project is within the limit", allowed("limited", "GET", "project.get", project+"ACME"), outcome{Verdict: VerdictSame}},
		{"the project is outside the limit", allowed("limited", "GET", "project.get", project+"OPS"), outcome{VerdictRefused, CodeProjectNotAllowed, "acme", ""}},
		{"a rule in mode report refuses nothing", allowed("trial", "GET", "project.get", project+"OPS"), outcome{Verdict: VerdictSame}},

		{"the project has a pseudonym", allowed("limited", "GET", "project.get", project+"~5f2a9c"), undecidable(CodeProjectNotAllowed, "acme", path)},
		{"the project was dropped", allowed("limited", "GET", "project.get", project+"{projectIdOrKey}"), undecidable(CodeProjectNotAllowed, "acme", path)},
		{"the issue has a pseudonym", allowed("limited", "DELETE", "issue.delete", "/rest/api/3/issue/~5f2a9c"), undecidable(CodeProjectNotAllowed, "acme", path)},
		{"other rules limit nothing", allowed("careful", "GET", "project.get", project+"~5f2a9c"), undecidable(CodeProjectNotAllowed, "acme", path)},
		{"other rules limit other calls, or only report", allowed("ids", "GET", "project.get", project+"~5f2a9c"), undecidable(CodeProjectNotAllowed, "by-id", path)},
		{"the limit is the first id that there is", allowed("first", "GET", "project.get", project+"~5f2a9c"), undecidable(CodeProjectNotAllowed, "first", path)},
		{"no limit looks at the pseudonym", allowed("reads", "GET", "project.get", project+"~5f2a9c"), outcome{Verdict: VerdictSame}},
		{"no limit looks at the issue's pseudonym", allowed("free", "DELETE", "issue.delete", "/rest/api/3/issue/~5f2a9c"), outcome{Verdict: VerdictSame}},
		{"only the issue type was dropped", Recorded{Edition: DataCenter, Method: "GET", Operation: "field.list", Path: "/rest/api/2/issue/createmeta/ACME/issuetypes/{issueTypeId}", Connection: "limited", PolicySHA256: elsewhere, Allowed: true}, outcome{Verdict: VerdictSame}},
		{"one project is within both limits", allowed("shared", "GET", "project.get", project+"~5f2a9c"), undecidable(CodeProjectNotAllowed, "three", path)},
		{"no project is within both limits", allowed("both", "GET", "project.get", project+"~5f2a9c"), outcome{Verdict: VerdictRefused}},
		{"no issue is named by a project's id", allowed("ids", "DELETE", "issue.delete", "/rest/api/3/issue/~5f2a9c"), outcome{VerdictRefused, CodeProjectNotAllowed, "by-id", ""}},

		{"the query names no project", allowed("limited", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "query"), outcome{VerdictRefused, CodeProjectNotAllowed, "acme", ""}},
		{"the query names a project", allowed("limited", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "query", "project"), undecidable(CodeProjectNotAllowed, "acme", "a project limit looks at the value of project, which is not recorded")},
		{"the query names a project, and has a truth value", allowed("limited", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "project", "recommend"), undecidable(CodeProjectNotAllowed, "acme", "a project limit looks at the value of project, which is not recorded")},
		{"no rule looks at text, numbers and truth values", allowed("limited", "GET", "user.picker", "/rest/api/3/user/picker", "query", "maxResults", "showAvatar"), outcome{Verdict: VerdictSame}},
		{"the query names an issue, and the limit ids", allowed("ids", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "project", "issueKey"), outcome{VerdictRefused, CodeProjectNotAllowed, "by-id", ""}},

		{"the condition was met", allowed("typed", "GET", "issuetype.list", project+"ACME", "expand"), outcome{VerdictRefused, CodeOperationSwitchedOff, "only-types", ""}},
		{"the condition cannot have been met", allowed("typed", "GET", "project.get", project+"ACME", "expand"), outcome{Verdict: VerdictSame}},
		{"the condition may have been met", allowed("typed", "GET", "project.get", project+"ACME", "expand", "properties"), undecidable(CodeOperationSwitchedOff, "only-types", condition)},
		{"the condition does not matter", allowed("types", "GET", "project.get", project+"ACME", "expand", "properties"), outcome{Verdict: VerdictRefused}},
		{"the condition, since no limit looks at the pseudonym", allowed("typed", "GET", "project.get", project+"~5f2a9c", "expand", "properties"), undecidable(CodeOperationSwitchedOff, "only-types", condition)},
		{"one rule refuses, whether or not the condition was met", allowed("narrow", "GET", "project.get", project+"OPS", "expand", "properties"), outcome{Verdict: VerdictRefused, Rule: "types-and-projects"}},
		{"the condition or the pseudonym", allowed("careful", "GET", "project.get", project+"~5f2a9c", "expand", "properties"), undecidable(CodeProjectNotAllowed, "acme", path+"; "+condition)},
		{"without the parameter there is no condition", allowed("typed", "GET", "project.get", project+"ACME", "properties"), outcome{Verdict: VerdictSame}},

		{"the body names a project", allowed("limited", "POST", "issue.create", "/rest/api/3/issue"), undecidable(CodeProjectNotAllowed, "acme", body)},
		{"no rule looks at the body", allowed("reads", "POST", "issue.create", "/rest/api/3/issue"), outcome{Verdict: VerdictSame}},
		{"no body is within both limits", allowed("both", "POST", "issue.create", "/rest/api/3/issue"), outcome{Verdict: VerdictRefused}},
		{"a body at fault stays so", refused(CodeBodyMalformed, allowed("limited", "POST", "issue.create", "/rest/api/3/issue")), outcome{Verdict: VerdictSame, Code: CodeBodyMalformed}},
		{"a body that nobody needs is too large", refused(CodeBodyTooLarge, allowed("free", "GET", "priority.list", "/rest/api/3/priority")), outcome{Verdict: VerdictSame, Code: CodeBodyTooLarge}},
		{"it is refused before the body now", refused(CodeBodyTooLarge, allowed("reads", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")), outcome{VerdictSame, CodeOperationSwitchedOff, "no-deletes", ""}},
		{"a body in order named other projects", refused(CodeProjectNotAllowed, allowed("free", "POST", "issue.create", "/rest/api/3/issue")), outcome{Verdict: VerdictAllowed}},
		{"a body was not looked at", refused(CodeOperationSwitchedOff, allowed("free", "POST", "issue.create", "/rest/api/3/issue")), undecidable("", "", unseen)},

		{"a delete is on again", refused(CodeOperationSwitchedOff, allowed("free", "DELETE", "issue.delete", "/rest/api/3/issue/ACME%2D1")), outcome{Verdict: VerdictAllowed}},
		{"a delete is off for another reason", refused(CodeProjectNotAllowed, allowed("reads", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")), outcome{VerdictSame, CodeOperationSwitchedOff, "no-deletes", ""}},
		{"a delete is on again, within a limit", refused(CodeOperationSwitchedOff, allowed("limited", "DELETE", "issue.delete", "/rest/api/3/issue/~5f2a9c")), undecidable(CodeProjectNotAllowed, "acme", path)},

		{"a path stays undocumented", refused(CodeOperationNotDocumented, allowed("free", "GET", "", "/rest/api/3/search")), outcome{Verdict: VerdictSame, Code: CodeOperationNotDocumented}},
		{"a path that was cut stays undocumented", refused(CodeOperationNotDocumented, allowed("free", "GET", "", "/rest/api/3/search/…")), outcome{Verdict: VerdictSame, Code: CodeOperationNotDocumented}},
		{"an identifier stays malformed", refused(CodeParameterMalformed, allowed("free", "GET", "", project+"~acme")), outcome{Verdict: VerdictSame, Code: CodeParameterMalformed}},
		{"a query stays undocumented", refused(CodeQueryNotDocumented, allowed("limited", "GET", "project.get", project+"OPS")), outcome{Verdict: VerdictSame, Code: CodeQueryNotDocumented}},

		{"another gate refused", refused("issue_not_published", allowed("reads", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")), outcome{Verdict: VerdictNotByPolicy}},
		{"no policy was asked", Recorded{Code: "connection_unknown"}, outcome{Verdict: VerdictNotByPolicy}},
		{"no policy is named", Recorded{Code: CodeProjectNotAllowed}, outcome{Verdict: VerdictNotByPolicy}},
		{"the same policy decided", Recorded{PolicySHA256: p.SHA256(), Code: CodeProjectNotAllowed}, outcome{Verdict: VerdictSame, Code: CodeProjectNotAllowed}},
		{"the code of an allowed call is not looked at", Recorded{PolicySHA256: p.SHA256(), Code: CodeProjectNotAllowed, Allowed: true}, outcome{Verdict: VerdictSame}},

		{"another catalogue allowed an operation", allowed("free", "GET", "filter.get", "/rest/api/3/filter/1"), outcome{Verdict: VerdictRefused, Code: CodeOperationNotDocumented}},
		{"another catalogue allowed one with parameters", allowed("free", "GET", "filter.get", "/rest/api/3/filter/1", "expand"), outcome{Verdict: VerdictRefused, Code: CodeOperationNotDocumented}},
		{"another catalogue allowed one with a pseudonym", allowed("free", "GET", "filter.get", "/rest/api/3/filter/~5f2a9c"), undecidable("", "", whyCatalogue)},
		{"another catalogue gave it another path", allowed("free", "GET", "project.get", "/rest/api/3/projects/ACME"), outcome{Verdict: VerdictRefused, Code: CodeOperationNotDocumented}},
		{"another catalogue gave it a longer path", allowed("free", "GET", "project.get", project+"~5f2a9c/{issueTypeId}"), undecidable("", "", whyCatalogue)},
		{"another program took a path without a slash", allowed("free", "GET", "project.get", "x"+project+"ACME"), outcome{Verdict: VerdictRefused, Code: CodePathMalformed}},
		{"another catalogue gave it another name", allowed("free", "GET", "project.read", project+"ACME"), undecidable("", "", whyCatalogue)},
		{"another catalogue knew another parameter", allowed("free", "GET", "project.get", project+"ACME", "fields"), undecidable("", "", whyCatalogue)},
		{"another catalogue did not know the path", refused(CodeOperationNotDocumented, allowed("free", "GET", "", "/rest/api/3/priority")), undecidable("", "", whyCatalogue)},
		{"an edition of another release", Recorded{Edition: "server", Operation: "myself.get", Path: "/rest/api/2/myself", PolicySHA256: elsewhere, Allowed: true}, undecidable("", "", whyCatalogue)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Reconsider(tt.r); got != tt.want {
				t.Errorf("%+v:\n got %+v\nwant %+v", tt.r, got, tt.want)
			}
		})
	}
}

// A code that Reconsider doesn't know would be taken for another gate's.
func TestEveryCodeIsReconsidered(t *testing.T) {
	for _, m := range Codes() {
		if r := (Recorded{Code: m.Code}); r.reached() == stageElsewhere {
			t.Errorf("%s is taken for a reason that no policy gives", m.Code)
		}
	}
}

var bodies = [][]byte{
	nil, []byte(`{`), []byte(`{}`), []byte(`{"fields":{}}`),
	[]byte(`{"fields":{"project":{"key":"ACME"}}}`), []byte(`{"fields":{"project":{"key":"OPS"}}}`),
	[]byte(`{"fields":{"project":{"id":"10000"}}}`), []byte(`{"fields":{"project":{"key":"ZZ"}}}`),
	[]byte(`{"fields":{"project":{"key":"ACME","id":"7"}}}`), []byte(`{"fields":{"project":{"id":"2"}}}`),
}

// What Reconsider says of a record is so for the call that it was made of.
func TestReconsiderIsNeverWrong(t *testing.T) {
	wide := mustNew(t, withSuccessors)
	rules := func(t *rapid.T) *Policy {
		text := drawRules(t, wide.ids)
		if rapid.IntRange(0, 3).Draw(t, "successors off") == 0 {
			if text = strings.Replace(text, string(withSuccessors), "version: 1\n", 1); text == "version: 1\n" {
				return mustNew(t, nil)
			}
		}
		return mustNew(t, []byte(text))
	}
	rapid.Check(t, func(t *rapid.T) {
		before, now := rules(t), rules(t)
		r := drawCall(t, wide).request
		r.Connection = rapid.SampledFrom([]string{"acme", "globex"}).Draw(t, "connection")
		r.Client = rapid.SampledFrom([]string{"billing", "crm"}).Draw(t, "client")
		switch rapid.IntRange(0, 9).Draw(t, "mutation") {
		case 0:
			r.RawQuery += "&os_username=a"
		case 1:
			r.Path += "/x"
		case 2:
			r.Method = "PUT"
		case 3:
			r.Edition = r.Edition.other()
		}
		body := rapid.SampledFrom(bodies).Draw(t, "body")
		recorded := record(before, r, body)
		if rapid.Bool().Draw(t, "privacy") {
			recorded = withoutIdentifiers(before, recorded, rapid.Bool().Draw(t, "pseudonym"))
		}
		checkOutcome(t, now.Reconsider(recorded), recorded, truth(now, r, body))
		if o := before.Reconsider(recorded); o.Verdict != VerdictSame || o.Code != recorded.Code {
			t.Fatalf("%+v is %+v under the policy that decided it", recorded, o)
		}
	})
}

// checkOutcome holds an outcome against the decision about the whole call.
func checkOutcome(t interface {
	Helper()
	Fatalf(string, ...any)
}, o Outcome, r Recorded, d Decision) {
	t.Helper()
	verdict := VerdictSame
	switch {
	case r.Allowed && !d.Allowed():
		verdict = VerdictRefused
	case !r.Allowed && d.Allowed():
		verdict = VerdictAllowed
	}
	switch {
	case o.Verdict == VerdictUndecidable && o.Why != "" && o.Why != whyCatalogue:
	case o.Verdict != verdict, o.Why != "":
		t.Fatalf("%+v is %+v, and in truth %s: %s %s", r, o, verdict, d.Code, d.Detail)
	case o.Code != "" && o.Code != d.Code, o.Rule != "" && o.Rule != d.Rule, o.Code != "" && o.Rule == "" && d.Rule != "":
		t.Fatalf("%+v is %+v, and in truth refused for %q by rule %q", r, o, d.Code, d.Rule)
	}
}
