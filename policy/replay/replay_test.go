package replay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/policy/replay"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// call is the nth record: an allowed one, decided by a policy that isn't under test.
func call(n uint64, connection, method, operation, path string, names ...string) replay.Call {
	return replay.Call{
		Seq: n, ID: fmt.Sprintf("id-%d", n), Time: start.Add(time.Duration(n) * time.Second),
		Recorded: policy.Recorded{
			Edition: policy.Cloud, Method: method, Operation: operation, Path: path, QueryNames: names,
			Client: "billing", Connection: connection, PolicySHA256: "another", Allowed: true,
		},
	}
}

func refused(c replay.Call, code policy.Code) replay.Call {
	c.Allowed, c.Code = false, code
	return c
}

func mustPolicy(t testing.TB, rules string) *policy.Policy {
	t.Helper()
	p, err := policy.New([]byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const tightened = `
version: 1
rules:
  - {name: no-deletes, connections: [acme], deny: [issue.delete]}
  - {name: two-projects, connections: [acme], projects: [ACME, OPS]}
`

func TestSumsUpWhatWouldChange(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	timedOut := call(3, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-2")
	timedOut.Code = "upstream_timeout" // of an allowed call: no reason of a refusal
	act := call(9, "acme", "POST", "admin.connection.add", "/v1/connections")
	act.Act = true
	unasked := refused(call(10, "", "GET", "", "https://example.com/"), "connection_unknown")
	unasked.PolicySHA256 = ""
	for _, c := range []replay.Call{
		call(1, "acme", "GET", "priority.list", "/rest/api/3/priority"),
		call(2, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"),
		timedOut,
		call(4, "globex", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"),
		call(5, "acme", "POST", "issue.create", "/rest/api/3/issue"),
		call(6, "acme", "POST", "issue.create", "/rest/api/3/issue"),
		refused(call(7, "globex", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), policy.CodeOperationSwitchedOff),
		refused(call(8, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), policy.CodeProjectNotAllowed),
		act, unasked,
		refused(call(11, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), "issue_not_published"),
		refused(call(12, "acme", "GET", "", "/rest/api/3/search"), policy.CodeOperationNotDocumented),
	} {
		r.Add(c)
	}
	got := r.Report()
	counts := fmt.Sprintln(got.Records, got.Same, got.OtherReason, got.Refused, got.Allowed, got.Undecidable, got.NotByPolicy, got.Acts, got.Ungrouped)
	if want := fmt.Sprintln(12, 4, 1, 2, 1, 2, 2, 1, 0); counts != want {
		t.Errorf("counts\n got %swant %s", counts, want)
	}
	if !got.First.Equal(start.Add(time.Second)) || !got.Last.Equal(start.Add(12*time.Second)) {
		t.Errorf("from %v to %v", got.First, got.Last)
	}
	kind := func(change replay.Change, connection, operation string, was, now policy.Code, rule, why string) replay.Kind {
		return replay.Kind{Change: change, Connection: connection, Client: "billing", Operation: operation, WasCode: was, Code: now, Rule: rule, Why: why}
	}
	group := func(k replay.Kind, calls, first, last uint64, path string) replay.Group {
		return replay.Group{
			Kind: k, Calls: calls, First: start.Add(time.Duration(first) * time.Second), Last: start.Add(time.Duration(last) * time.Second),
			Example: replay.Example{Seq: first, ID: fmt.Sprintf("id-%d", first), Path: path},
		}
	}
	want := []replay.Group{
		group(kind(replay.Refused, "acme", "issue.delete", "", policy.CodeOperationSwitchedOff, "no-deletes", ""), 2, 2, 3, "/rest/api/3/issue/ACME-1"),
		group(kind(replay.Allowed, "globex", "issue.delete", policy.CodeOperationSwitchedOff, "", "", ""), 1, 7, 7, "/rest/api/3/issue/ACME-1"),
		group(kind(replay.Undecidable, "acme", "issue.create", "", policy.CodeProjectNotAllowed, "two-projects", "a project limit looks at the body, which is not recorded"), 2, 5, 6, "/rest/api/3/issue"),
		group(kind(replay.OtherReason, "acme", "issue.delete", policy.CodeProjectNotAllowed, policy.CodeOperationSwitchedOff, "no-deletes", ""), 1, 8, 8, "/rest/api/3/issue/ACME-1"),
	}
	if !slices.Equal(got.Groups, want) {
		t.Errorf("groups\n got %+v\nwant %+v", got.Groups, want)
	}
}

func TestUnchangedIsOnlyWhatIsCertain(t *testing.T) {
	tests := []struct {
		name string
		c    replay.Call
		want bool
	}{
		{"allowed as before", call(1, "acme", "GET", "priority.list", "/rest/api/3/priority"), true},
		{"refused for another reason", refused(call(1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), policy.CodeProjectNotAllowed), true},
		{"refused by another gate", refused(call(1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), "issue_not_published"), true},
		{"would be refused", call(1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), false},
		{"could be allowed", refused(call(1, "globex", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), policy.CodeProjectNotAllowed), false},
		{"cannot be decided", call(1, "acme", "POST", "issue.create", "/rest/api/3/issue"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := replay.New(mustPolicy(t, tightened))
			r.Add(tt.c)
			if report := r.Report(); report.Unchanged() != tt.want {
				t.Errorf("unchanged is %v: %+v", !tt.want, report)
			}
		})
	}
}

// Clients choose nothing that a group is made of but names that they were given;
// a log that was made up must not fill the memory all the same.
func TestGroupsAreBounded(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	const calls = 10_007
	for n := range uint64(calls) {
		c := call(n+1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")
		c.Client = fmt.Sprintf("client-%d", n)
		r.Add(c)
	}
	report := r.Report()
	if len(report.Groups) != 10_000 || report.Ungrouped != calls-10_000 || report.Refused != calls {
		t.Errorf("%d groups, %d calls in none, %d refused", len(report.Groups), report.Ungrouped, report.Refused)
	}
}

// What is remembered of a call is what would be decided about it.
func TestRemembersNothingWrong(t *testing.T) {
	p := mustPolicy(t, tightened+"  - {name: no-types, connections: [globex], deny: [issuetype.list]}\n")
	r := replay.New(p)
	want := map[policy.Verdict]uint64{}
	seq := uint64(0)
	for round := range 2 {
		for n := range 5000 { // more than are remembered
			c := call(0, []string{"acme", "globex"}[n%2], "GET", "project.get", fmt.Sprintf("/rest/api/3/project/%s%d", []string{"ACME", "OPS"}[round], n), "expand")
			if n%3 == 0 {
				c.Path = "/rest/api/3/project/ACME"
			}
			if n%5 == 0 {
				c = refused(c, policy.CodeProjectNotAllowed)
			}
			if n%7 == 0 {
				c.QueryNames = append(c.QueryNames, "properties")
			}
			seq++
			c.Seq = seq
			r.Add(c)
			want[p.Reconsider(c.Recorded).Verdict]++
		}
	}
	got := r.Report()
	if got.Same != want[policy.VerdictSame] || got.Refused != want[policy.VerdictRefused] || got.Allowed != want[policy.VerdictAllowed] || got.Undecidable != want[policy.VerdictUndecidable] {
		t.Errorf("got %+v\nwant %v", got, want)
	}
	if got.Same == 0 || got.Refused == 0 || got.Allowed == 0 || got.Undecidable == 0 {
		t.Errorf("the calls are too alike: %v", want)
	}
}

// BenchmarkAdd replays calls as they come: reads of projects, searches, issues
// created and deleted, under a limit.
func BenchmarkAdd(b *testing.B) {
	var calls []replay.Call
	for n := range 1000 {
		switch n % 5 {
		case 0:
			calls = append(calls, call(1, "acme", "POST", "issue.create", "/rest/api/3/issue"))
		case 1:
			calls = append(calls, call(1, "acme", "DELETE", "issue.delete", fmt.Sprintf("/rest/api/3/issue/ACME-%d", n)))
		case 2:
			calls = append(calls, call(1, "acme", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "project", "query", "maxResults"))
		case 3:
			calls = append(calls, call(1, "acme", "GET", "project.get", fmt.Sprintf("/rest/api/3/project/P%d", n), "expand"))
		default:
			calls = append(calls, refused(call(1, "acme", "GET", "", "/rest/api/3/search"), policy.CodeOperationNotDocumented))
		}
	}
	r := replay.New(mustPolicy(b, tightened))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r.Add(calls[n%len(calls)])
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
