package report_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
)

func codes(r *report.Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, f.Code)
	}
	return list
}

// Each thing that is not as promised is a finding, and nothing else is.
func TestFindings(t *testing.T) {
	type change = func(*audit.Record)
	for name, tt := range map[string]struct {
		in   func(*report.Input)
		call change
		want []string
	}{
		"all is well":                    {},
		"an operation that no table has": {call: func(r *audit.Record) { r.Operation = "issue.search" }, want: []string{report.FindingNotDocumented}},
		"no operation":                   {call: func(r *audit.Record) { r.Operation = "" }, want: []string{report.FindingNotDocumented}},
		"the other edition's":            {call: func(r *audit.Record) { r.Edition = "datacenter" }, want: []string{report.FindingNotDocumented}},
		"another path":                   {call: func(r *audit.Record) { r.Path = "/rest/api/3/project/ACME/role" }, want: []string{report.FindingElsewhere}},
		"a path of another operation":    {call: func(r *audit.Record) { r.Path = "/rest/api/3/issue/ACME-1" }, want: []string{report.FindingElsewhere}},
		"no identifier":                  {call: func(r *audit.Record) { r.Path = "/rest/api/3/project/" }, want: []string{report.FindingElsewhere}},
		"another method":                 {call: func(r *audit.Record) { r.Method = "DELETE" }, want: []string{report.FindingElsewhere}},
		"another query":                  {call: func(r *audit.Record) { r.QueryNames = []string{"expand", "jql"} }, want: []string{report.FindingElsewhere}},
		"a documented query":             {call: func(r *audit.Record) { r.QueryNames = []string{"expand"} }},
		"a pseudonym in the path":        {call: func(r *audit.Record) { r.Path = "/rest/api/3/project/p:5e88-48" }},
		"no policy":                      {call: func(r *audit.Record) { r.PolicySHA256 = "" }, want: []string{report.FindingNoPolicy}},
		"an unknown policy":              {call: func(r *audit.Record) { r.PolicySHA256 = "1234" }, want: []string{report.FindingNoPolicy}},
		"a policy that is not kept": {in: func(in *report.Input) { in.Policies[0].Missing, in.Policies[0].Operations = true, nil },
			want: []string{report.FindingPolicyMissing}},
		"a kept policy that was altered": {in: func(in *report.Input) {
			in.Policies[0].Missing, in.Policies[0].Altered, in.Policies[0].Operations = true, true, nil
		}, want: []string{report.FindingPolicyAltered, report.FindingPolicyMissing}},
		"switched off": {in: func(in *report.Input) {
			for i := range in.Policies[0].Operations {
				in.Policies[0].Operations[i].Enabled = false
			}
		}, want: []string{report.FindingSwitchedOff}},
		"a rule in mode report":    {call: func(r *audit.Record) { r.Code = "project_not_allowed" }, want: []string{report.FindingReported}},
		"refused":                  {call: refused("not_granted")},
		"refused, by no policy":    {call: func(r *audit.Record) { refused("not_granted")(r); r.PolicySHA256 = "" }},
		"refused, and left":        {call: func(r *audit.Record) { refused("x")(r); r.EgressIP = "52.54.159.237" }, want: []string{report.FindingRefusedLeft}},
		"unpinned":                 {call: func(r *audit.Record) { r.EgressIP = "unpinned" }, want: []string{report.FindingUnpinned}},
		"another address":          {call: func(r *audit.Record) { r.EgressIP = "192.0.2.1" }, want: []string{report.FindingUnpublished}},
		"no address":               {call: func(r *audit.Record) { r.EgressIP = "localhost" }, want: []string{report.FindingUnpublished}},
		"another region's":         {call: func(r *audit.Record) { r.Region = "eu" }, want: []string{report.FindingUnpublished}},
		"did not leave":            {call: func(r *audit.Record) { r.EgressIP, r.Status, r.Code = "", 502, "upstream_unresolvable" }},
		"published later":          {call: at("52.73.143.252", november.AddDate(0, 0, 10).Add(-time.Second)), want: []string{report.FindingUnpublished}},
		"published while it began": {call: at("52.73.143.252", november.AddDate(0, 0, 10).Add(-time.Millisecond))},
		"published just now":       {call: at("52.73.143.252", november.AddDate(0, 0, 10))},
		"published until then":     {call: at("52.73.143.252", november.AddDate(0, 0, 20).Add(-time.Millisecond))},
		"retired":                  {call: at("52.73.143.252", november.AddDate(0, 0, 20)), want: []string{report.FindingUnpublished}},
		"the log fails": {in: func(in *report.Input) { in.Verification.OK, in.Verification.Failure = false, "line 7" },
			want: []string{report.FindingNotVerified}},
		"no checkpoint": {in: func(in *report.Input) { in.Verification.CheckpointSize = 0 }, want: []string{report.FindingUnsigned}},
		"behind the checkpoint": {in: func(in *report.Input) { in.Verification.CheckpointSize = 10 },
			call: func(r *audit.Record) { r.Seq = 11 }, want: []string{report.FindingTail}},
		"behind the verification": {call: func(r *audit.Record) { r.Seq = 5001 }, want: []string{report.FindingLater, report.FindingTail}},
		"older records deleted":   {in: func(in *report.Input) { in.Verification.RetainedFrom = 2 }, want: []string{report.FindingNotKept}},
		"records of the month deleted": {in: func(in *report.Input) {
			in.Verification.RetainedFrom, in.Verification.RetainedSince = 9, november.Add(time.Second)
		}, want: []string{report.FindingNotKept}},
		"records before the month deleted": {in: func(in *report.Input) {
			in.Verification.RetainedFrom, in.Verification.RetainedSince = 9, november
		}},
		"an act needs no address and no operation": {call: anAct},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			if tt.in != nil {
				tt.in(&in)
			}
			call := aCall(10)
			if tt.call != nil {
				tt.call(&call)
			}
			r := collect(t, in, call)
			if got := codes(r); !slices.Equal(got, append([]string{}, tt.want...)) {
				t.Fatalf("findings %q, want %q", got, tt.want)
			}
			well := strings.Contains(strings.Join(r.Headline, " "), "Not all") || strings.Contains(strings.Join(r.Headline, " "), "failed") ||
				strings.Contains(strings.Join(r.Headline, " "), "not known")
			alert := len(r.Findings) > 0 && r.Findings[0].Level == report.LevelAlert
			if alert && !well {
				t.Errorf("the headline is silent of it: %q", r.Headline)
			}
			if len(tt.want) == 0 && strings.Contains(strings.Join(r.Headline, " "), "Not all") {
				t.Errorf("the headline alarms without cause: %q", r.Headline)
			}
		})
	}
}

func at(egressIP string, when time.Time) func(*audit.Record) {
	return func(r *audit.Record) { r.EgressIP, r.Time = egressIP, when }
}

// Lines that are no records are on the record: the report is not silently of fewer.
func TestDamagedLinesAreAFinding(t *testing.T) {
	defect := &audit.DefectError{Segment: "2026-11-03T10.jsonl", Line: 4, Err: errors.New("no record")}
	r, err := report.Collect(input(), func(yield func(audit.Entry, error) bool) {
		if yield(audit.Entry{Record: aCall(1)}, nil) && yield(audit.Entry{}, defect) && yield(audit.Entry{}, defect) {
			yield(audit.Entry{Record: aCall(2)}, nil)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Totals.Calls != 2 || r.Totals.Damaged != 2 || !slices.Equal(codes(r), []string{report.FindingDamaged}) {
		t.Errorf("%+v, %q", r.Totals, codes(r))
	}
	if !strings.Contains(strings.Join(r.Headline, " "), "2 lines of the log cannot be read") {
		t.Errorf("headline %q", r.Headline)
	}
}

// The report goes to a customer: nothing of another gets into it.
func TestRefusesRecordsOfOthers(t *testing.T) {
	for name, change := range map[string]func(*audit.Record){
		"another connection": func(r *audit.Record) { r.Connection = "globex" },
		"none":               func(r *audit.Record) { r.Connection = "" },
		"the month before":   func(r *audit.Record) { r.Time = november.Add(-time.Microsecond) },
		"the month after":    func(r *audit.Record) { r.Time = november.AddDate(0, 1, 0) },
	} {
		if _, err := report.Collect(input(), records(aCall(1), aCall(2, change))); err == nil || !strings.Contains(err.Error(), "record 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	_, err := report.Collect(input(), func(yield func(audit.Entry, error) bool) { yield(audit.Entry{}, broken) })
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the sequence", err)
	}
}

func TestRefusesInputThatIsNoMonth(t *testing.T) {
	for name, change := range map[string]func(*report.Input){
		"no month":             func(in *report.Input) { in.Until = in.Until.Add(-time.Second) },
		"the middle":           func(in *report.Input) { in.From = in.From.Add(time.Hour) },
		"no name":              func(in *report.Input) { in.Connection = "Acme\n" },
		"a policy twice":       func(in *report.Input) { in.Policies = append(in.Policies, in.Policies[0]) },
		"an empty address":     func(in *report.Input) { in.Published = append(in.Published, report.PublishedAddress{}) },
		"no note as a note":    func(in *report.Input) { in.Checkpoint = []byte("a\x1b[2J\n") },
		"a giant's checkpoint": func(in *report.Input) { in.Checkpoint = []byte(strings.Repeat("a", 1<<20)) },
	} {
		in := input()
		change(&in)
		if _, err := report.Collect(in, records()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whatever the policy allows fits the table: no call that was decided well is a finding.
func TestEveryOperationFitsItsTable(t *testing.T) {
	p := inForce
	in := input()
	for _, o := range p.OperationsFor("acme", policy.Cloud) {
		if !o.Enabled {
			continue
		}
		path := strings.NewReplacer("{projectIdOrKey}", "ACME", "{issueIdOrKey}", "ACME-1", "{issueTypeId}", "10001").Replace(o.Path)
		d := p.Decide(policy.Request{Edition: policy.Cloud, Method: o.Method, Path: path, RawQuery: o.When, Connection: "acme"})
		if d.Operation == nil || d.Operation.ID != o.ID {
			t.Fatalf("%s %s: %v %s", o.Method, path, d.Code, d.Detail)
		}
		r := collect(t, in, aCall(1, func(r *audit.Record) {
			r.Method, r.Path, r.Operation, r.QueryNames = o.Method, d.Path(), o.ID, o.QueryNames()
		}))
		if len(r.Findings) > 0 {
			t.Errorf("%s: %+v", o.ID, r.Findings)
		}
	}
}

// Where retention has taken a month, nothing is said of it, in particular not that
// there was no call.
func TestNothingIsSaidOfRecordsThatAreGone(t *testing.T) {
	in := input()
	in.Verification.RetainedFrom, in.Verification.RetainedSince = 9, in.Until
	r, err := report.Collect(in, func(func(audit.Entry, error) bool) {})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Headline, " ")
	if !strings.Contains(said, "Nothing can be said") || strings.Contains(said, "no call") || strings.Contains(said, "all records of this month") {
		t.Errorf("the headline is %q", said)
	}
	if len(r.Findings) == 0 || r.Findings[0].Code != report.FindingNotKept || r.Findings[0].Level != report.LevelAlert {
		t.Errorf("findings are %+v", r.Findings)
	}
}

// TestAnUnsignedPageSaysSo, and claims no signature.
func TestAnUnsignedPageSaysSo(t *testing.T) {
	r, err := report.Collect(input(), func(func(audit.Entry, error) bool) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, unsigned := range []bool{false, true} {
		r.Unsigned = unsigned
		var page strings.Builder
		if err := r.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page.String(), "This page is not signed") != unsigned || strings.Contains(page.String(), "ends in a comment") == unsigned {
			t.Errorf("unsigned %t: the page says otherwise", unsigned)
		}
	}
}
