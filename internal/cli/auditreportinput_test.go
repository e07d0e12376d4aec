package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
	"jiragate/policy/history"
)

// The policies are those that decided, in the order in which they first did. Acts of
// administration carry the policy in force, and are not decided by it.
func TestPoliciesInForceAreThoseThatDecided(t *testing.T) {
	off, err := policy.New([]byte("version: 1\nrules:\n  - name: freeze\n    connections: [acme]\n    deny: [issue.delete]\n"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s, err := surveyRecords(func(yield func(audit.Entry, error) bool) {
		for i, r := range []audit.Record{
			{PolicySHA256: off.SHA256(), Edition: "cloud", Region: "us"}, {PolicySHA256: "gone"}, {PolicySHA256: off.SHA256()},
			{PolicySHA256: "an act's", Operation: "admin.client.grant"}, {},
		} {
			r.Time = start.Add(time.Duration(i) * time.Hour)
			if !yield(audit.Entry{Record: r}, nil) {
				return
			}
		}
	})
	if err != nil || s.edition != "cloud" || s.region != "us" {
		t.Fatalf("%+v, %v", s, err)
	}
	list, err := policiesInForce("acme", s.edition, s, func(hash string) (*policy.Policy, error) {
		if hash != off.SHA256() {
			return nil, history.ErrNotKept
		}
		return off, nil
	})
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list[0]; p.Missing || !p.From.Equal(start) || !p.Until.Equal(start.Add(2*time.Hour)) || p.Version == "" {
		t.Errorf("%+v", p)
	}
	for _, o := range list[0].Operations {
		if o.ID == "issue.delete" && o.Enabled || o.Edition != policy.Cloud {
			t.Errorf("%s of %s is enabled: %t", o.ID, o.Edition, o.Enabled)
		}
	}
	if p := list[1]; !p.Missing || p.SHA256 != "gone" {
		t.Errorf("%+v", p)
	}
	broken := errors.New("the disk is gone")
	if _, err := policiesInForce("acme", "cloud", s, func(string) (*policy.Policy, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Where one file can't be written, none is left.
func TestReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, report.ChecksumsName), 0o700); err != nil {
		t.Fatal(err)
	}
	a := &app{out: &syncBuffer{}}
	if err := a.writeReport(dir, &reportFiles{page: []byte("p")}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
}
