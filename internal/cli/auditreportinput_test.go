package cli

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
	list, err := policiesInForce("acme", s.edition, s, nil, func(hash string) (*policy.Policy, error) {
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
	if _, err := policiesInForce("acme", "cloud", s, nil, func(string) (*policy.Policy, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// What a policy changed is said each time it comes into force, also when an earlier
// one is back, and of other connections nothing.
func TestPolicyChangesOfAReport(t *testing.T) {
	rules := func(text string) *policy.Policy {
		p, err := policy.New([]byte("version: 1\nrules:\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := policy.Default()
	b := rules("  - name: no-deletes\n    deny: [issue.delete]\n")
	c := rules("  - name: merger\n    connections: [initech]\n    projects: [MERGER]\n")
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	s := survey{edition: "cloud", policies: []policyUse{{a.SHA256(), at(0), at(5)}}}
	loads := []policyLoad{{at(1), b.SHA256()}, {at(2), a.SHA256()}, {at(3), c.SHA256()}, {at(4), "gone"}, {at(5), "bad"}}
	list, err := policiesInForce("acme", "cloud", s, loads, func(hash string) (*policy.Policy, error) {
		for _, p := range []*policy.Policy{a, b, c} {
			if p.SHA256() == hash {
				return p, nil
			}
		}
		if hash == "bad" {
			return nil, history.ErrAltered
		}
		return nil, history.ErrNotKept
	})
	if err != nil || len(list) != 5 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{
		"From 1 November 02:00:00 UTC, in place of " + b.SHA256()[:8],
		"From 1 November 01:00:00 UTC, in place of " + a.SHA256()[:8],
		"in place of " + a.SHA256()[:8] + ": nothing changed for this connection.",
		"in place of " + c.SHA256()[:8] + ": what changed is not known",
		"in place of gone: what changed is not known",
	} {
		if got := strings.Join(list[i].Changes, "|"); !strings.Contains(got, want) || strings.Contains(got, "MERGER") || strings.Contains(got, "initech") {
			t.Errorf("policy %d: %q, want %q", i, got, want)
		}
	}
	if !list[4].Altered || !list[4].Missing || list[3].Altered {
		t.Errorf("%+v", list)
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

// A gateway that runs goes on writing: what came after the verification is not in the
// report, unless that found something, when nothing is proven anyway.
func TestReportIsOfWhatWasVerified(t *testing.T) {
	for _, tt := range []struct {
		ok   bool
		want []uint64
	}{
		{true, []uint64{1, 2}},
		{false, []uint64{1, 2, 3, 4}},
	} {
		var got []uint64
		for e, err := range verifiedRecords(func(yield func(audit.Entry, error) bool) {
			for seq := range uint64(4) {
				if !yield(audit.Entry{Record: audit.Record{Seq: seq + 1}}, nil) {
					return
				}
			}
		}, report.Verification{OK: tt.ok, Last: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("verified %t: the records are %d, want %d", tt.ok, got, tt.want)
		}
	}
}

// Of a log of which retention has removed the beginning, the report knows since when
// there are records; and a policy that came into force after the verification is none
// of its.
func TestReportOfALogThatLostItsBeginning(t *testing.T) {
	c, _ := testConfig(t)
	if err := prepareDataDir(c.DataDir); err != nil {
		t.Fatal(err)
	}
	keys, err := openKeyset(t.Context(), c, true)
	if err != nil {
		t.Fatal(err)
	}
	key, err := (&auditKey{config: c, sealer: keys}).open()
	if err != nil {
		t.Fatal(err)
	}
	loaded := func(hash string) audit.Record {
		return audit.Record{Client: "jiragate:policy", Operation: operationLoadPolicy, PolicySHA256: hash, Decision: audit.DecisionAllow}
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		options := c.auditOptions(key, slog.New(slog.DiscardHandler))
		options.Retention = time.Hour
		l, err := audit.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		write := func(r audit.Record) {
			if _, err := l.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		write(loaded("removed"))
		time.Sleep(time.Hour)
		write(loaded("first"))
		time.Sleep(time.Hour + 2*time.Minute) // the segment of the first hour goes
		in := report.Input{Connection: "acme", From: begun, Until: begun.AddDate(0, 1, 0)}
		a := &app{config: c, out: &syncBuffer{}}
		if err := a.reportVerification(&in); err != nil {
			t.Fatal(err)
		}
		write(loaded("too late"))
		loads, err := a.policyLoads(in)
		if v := in.Verification; !v.OK || v.RetainedFrom != 2 || !v.RetainedSince.Equal(begun.Add(time.Hour)) {
			t.Errorf("the verification is %+v", v)
		}
		if err != nil || len(loads) != 1 || loads[0].sha256 != "first" {
			t.Errorf("policies came into force: %+v, %v", loads, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
