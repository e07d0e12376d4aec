package reporting

import (
	"context"
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
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
	"jiragate/policy"
	"jiragate/policy/history"
	"jiragate/tokenstore/keyset"
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
		for e, err := range verifiedRecords(t.Context(), func(yield func(audit.Entry, error) bool) {
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
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.Open(signer.Options{Path: filepath.Join(t.TempDir(), "key.json"), Sealer: keys, Name: "jiragate/us"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{
		Dir:   filepath.Join(t.TempDir(), "audit"),
		Trust: func() (*checkpoint.Trust, error) { return checkpoint.NewTrust(key.Verifiers()...) },
	}
	loaded := func(hash string) audit.Record {
		return audit.Record{Client: "jiragate:policy", Operation: OperationLoadPolicy, PolicySHA256: hash, Decision: audit.DecisionAllow}
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		l, err := audit.Open(audit.Options{Dir: s.Dir, Sync: audit.SyncBatch, Signer: key, Retention: time.Hour, Logger: slog.New(slog.DiscardHandler)})
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
		if err := s.verify(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
		write(loaded("too late"))
		loads, err := s.policyLoads(t.Context(), in)
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

// Of several logs, each is verified with its own keys, and whatever is wrong with one is
// said of that one; records and policies are those of all.
func TestReportOfSeveralLogs(t *testing.T) {
	s := &Source{}
	for _, node := range []string{"zone-a", "zone-b"} {
		keys, err := keyset.New()
		if err != nil {
			t.Fatal(err)
		}
		key, err := signer.Open(signer.Options{Path: filepath.Join(t.TempDir(), "key.json"), Sealer: keys, Name: checkpoint.Name("us", node)})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "audit")
		l, err := audit.Open(audit.Options{Dir: dir, Sync: audit.SyncBatch, Signer: key, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []audit.Record{
			{Operation: OperationLoadPolicy, PolicySHA256: "of " + node, Decision: audit.DecisionAllow},
			{Connection: "acme", Decision: audit.DecisionAllow},
		} {
			if _, err := l.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s.Logs = append(s.Logs, Log{Log: fleet.Log{Node: node, Dir: dir}, Trust: func() (*checkpoint.Trust, error) { return checkpoint.NewTrust(key.Verifiers()...) }})
	}
	now := time.Now()
	look := func() (report.Input, []string) {
		t.Helper()
		in := report.Input{Connection: "acme", From: now.AddDate(0, 0, -1), Until: now.AddDate(0, 0, 1)}
		if err := s.verify(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
		loads, err := s.policyLoads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range loads {
			got = append(got, l.sha256)
		}
		for e, err := range s.records(t.Context(), in) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, "call at "+e.Node)
		}
		return in, got
	}
	in, got := look()
	if want := []string{"of zone-a", "of zone-b", "call at zone-a", "call at zone-b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, l := range in.Logs {
		if v := l.Verification; !v.OK || v.CheckpointSize != 2 || len(v.Signed) != 1 || !strings.HasPrefix(v.Signed[0], "jiragate/us/"+l.Node+"+") || l.First.IsZero() || l.Last.Before(l.First) {
			t.Errorf("%+v", l)
		}
	}

	names, err := filepath.Glob(filepath.Join(s.Logs[1].Dir, "*.checkpoint"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	if err := os.WriteFile(names[0], []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, got = look()
	if len(got) != 4 || !in.Logs[0].Verification.OK || in.Logs[1].Verification.OK || !strings.Contains(in.Logs[1].Verification.Failure, "not a signed note") {
		t.Errorf("%q, %+v", got, in.Logs)
	}
	if err := os.RemoveAll(s.Logs[1].Dir); err != nil {
		t.Fatal(err)
	}
	in = report.Input{}
	if err := s.verify(t.Context(), &in); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "node zone-b") {
		t.Errorf("a log that is gone: %v", err)
	}
}

// A report ends with its caller, before it has read the log and in the midst of it.
func TestReportEndsWithItsCaller(t *testing.T) {
	s := &Source{Dir: filepath.Join(t.TempDir(), "audit"), Trust: func() (*checkpoint.Trust, error) { return nil, nil }}
	l, err := audit.Open(audit.Options{Dir: s.Dir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.Append(audit.Record{Connection: "acme", Decision: audit.DecisionAllow}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for e, err := range verifiedRecords(ctx, audit.Query(s.Dir, audit.Filter{}), report.Verification{}) {
		if err == nil && e.Seq == 1 {
			cancel()
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("record %d, %v", e.Seq, err)
		}
	}
	if _, err := s.Make(ctx, report.About{Connection: "acme", Month: "2020-01"}, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
