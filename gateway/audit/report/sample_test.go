package report_test

import (
	"fmt"
	"iter"
	"net/netip"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
)

// november is the month of the tests.
var november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// inForce is the policy of the tests; compiling it takes a while.
var inForce = policy.Default()

// input is that of a month in which all is well.
func input() report.Input {
	p := inForce
	return report.Input{
		Connection: "acme", Edition: "cloud", Region: "us",
		From: november, Until: november.AddDate(0, 1, 0), Made: november.AddDate(0, 1, 2), Version: "1.2.3",
		Policies: []report.PolicyInForce{{
			SHA256: p.SHA256(), Version: p.Version(), From: november.Add(time.Hour), Until: november.Add(9 * time.Hour),
			Operations: p.OperationsFor("acme", policy.Cloud),
		}},
		Published: []report.PublishedAddress{
			{Address: netip.MustParseAddr("52.54.159.237"), Region: "us", From: november.AddDate(-1, 0, 0)},
			{Address: netip.MustParseAddr("52.73.143.252"), Region: "us", From: november.AddDate(0, 0, 10), Until: november.AddDate(0, 0, 20)},
		},
		Verification: report.Verification{OK: true, Records: 5000, Segments: 12, Last: 5000, Head: "eb9bc97d", CheckpointSize: 5000, CheckpointRoot: "cm9vdA==", Signed: []string{"jiragate/us+dd9ee1c0+Aa"}},
		Checkpoint:   []byte("jiragate/us\n5000\ncm9vdA==\n\n— jiragate/us 3Z7hwA==\n"),
		Keys:         []string{"jiragate/us+dd9ee1c0+Aa"},
	}
}

// aCall is an allowed read from a published address; change makes it another.
func aCall(seq uint64, change ...func(*audit.Record)) audit.Record {
	r := audit.Record{
		Seq: seq, Time: november.Add(time.Duration(seq) * time.Hour), ID: fmt.Sprintf("id-%d", seq),
		Client: "billing", ClientAddr: "127.0.0.1:4000", Connection: "acme", Edition: "cloud", Region: "us",
		Method: "GET", Operation: "project.get", Path: "/rest/api/3/project/ACME",
		Decision: audit.DecisionAllow, PolicySHA256: inForce.SHA256(), Credential: "oauth2",
		EgressIP: "52.54.159.237", Status: 200, BytesOut: 100, DurationMS: 20,
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func refused(code string) func(*audit.Record) {
	return func(r *audit.Record) {
		r.Decision, r.Code, r.Status, r.EgressIP, r.BytesOut = audit.DecisionDeny, code, 403, "", 0
	}
}

func anAct(r *audit.Record) {
	r.Client, r.ClientAddr, r.Operation, r.Method, r.Path = "operator:root", "unix:pid=1", "admin.client.grant", "PUT", "/v1/clients/billing/grants/acme"
	r.EgressIP, r.BytesOut = "", 0
}

func records(list ...audit.Record) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, r := range list {
			if !yield(audit.Entry{Record: r}, nil) {
				return
			}
		}
	}
}

func collect(t *testing.T, in report.Input, list ...audit.Record) *report.Report {
	t.Helper()
	r, err := report.Collect(in, records(list...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sample is a month with something of everything.
func sample(t *testing.T) *report.Report {
	t.Helper()
	in := input()
	in.Policies = append(in.Policies, report.PolicyInForce{
		SHA256: "22e8", From: november.Add(30 * time.Hour), Until: november.Add(31 * time.Hour), Missing: true,
		Changes: []string{"the rule \"freeze\" was added: it switches issue.delete off"},
	})
	return collect(t, in,
		aCall(1, anAct),
		aCall(2), aCall(3), aCall(4, func(r *audit.Record) { r.Status = 404 }),
		aCall(5, func(r *audit.Record) {
			r.Method, r.Operation, r.Path, r.Status, r.BytesIn = "POST", "issue.create", "/rest/api/3/issue", 201, 512
		}),
		aCall(6, func(r *audit.Record) {
			r.Method, r.Operation, r.Path, r.Status, r.Code = "POST", "issue.create", "/rest/api/3/issue", 504, "upstream_timeout"
		}),
		aCall(7, refused("operation_not_documented"), func(r *audit.Record) { r.Operation, r.Path = "", "/rest/api/3/search" }),
		aCall(8, refused("operation_not_documented"), func(r *audit.Record) { r.Operation, r.Client = "", "wiki" }),
		aCall(9, refused("issue_not_published"), func(r *audit.Record) { r.Method, r.Operation = "DELETE", "issue.delete" }),
		aCall(30, func(r *audit.Record) { r.EgressIP = "52.73.143.252" }),
		aCall(31, func(r *audit.Record) { r.PolicySHA256 = "22e8" }),
		aCall(300, func(r *audit.Record) { r.EgressIP = "52.73.143.252" }),
		aCall(301, func(r *audit.Record) { r.Code, r.Status, r.EgressIP = audit.CodeInterrupted, 0, "" }),
		aCall(302, anAct, refused("not_found")),
	)
}
