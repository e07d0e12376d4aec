package replay_test

import (
	"encoding/json"
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
  - {name: two-projects, connections: [acme, initech], projects: [ACME, OPS]}
  - {name: one-project, connections: [initech], projects: [INITECH]}
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
		// One of two limits refuses it, which one depends on the project, which is not recorded.
		refused(call(13, "initech", "GET", "project.get", "/rest/api/3/project/~5f2a9c"), policy.CodeOperationSwitchedOff),
	} {
		r.Add(c)
	}
	got := r.Report()
	counts := fmt.Sprintln(got.Records, got.Same, got.OtherReason, got.Refused, got.Allowed, got.Undecidable, got.NotByPolicy, got.Acts, got.Ungrouped)
	if want := fmt.Sprintln(13, 5, 1, 2, 1, 2, 2, 1, 0); counts != want {
		t.Errorf("counts\n got %swant %s", counts, want)
	}
	if !got.First.Equal(start.Add(time.Second)) || !got.Last.Equal(start.Add(13*time.Second)) {
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

// Records are in the order in which they were written, whatever the clock said.
func TestTheClockWasSetBack(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	for seq, second := range []int{5, 2, 7, 4} {
		c := call(uint64(seq)+1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")
		c.Time = start.Add(time.Duration(second) * time.Second)
		r.Add(c)
	}
	first, last := start.Add(2*time.Second), start.Add(7*time.Second)
	report := r.Report()
	if !report.First.Equal(first) || !report.Last.Equal(last) {
		t.Errorf("the records are from %v to %v, want %v to %v", report.First, report.Last, first, last)
	}
	if g := report.Groups[0]; !g.First.Equal(first) || !g.Last.Equal(last) || g.Example.Seq != 1 {
		t.Errorf("the calls of the group are from %v to %v, want %v to %v; the first was record %d", g.First, g.Last, first, last, g.Example.Seq)
	}
}

// Programs that read the report find a list of groups, also an empty one.
func TestReportOfNothing(t *testing.T) {
	p := mustPolicy(t, tightened)
	report := replay.New(p).Report()
	got, err := json.Marshal(&report)
	want := `{"policy_version":"` + p.Version() + `","policy_sha256":"` + p.SHA256() + `","records":0,"same":0,"other_reason":0,"refused":0,` +
		`"allowed":0,"undecidable":0,"not_by_policy":0,"acts":0,"groups":[],"ungrouped":0}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
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
