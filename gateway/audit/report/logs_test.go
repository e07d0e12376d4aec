package report_test

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
)

// twoLogs is the input of a month in which all is well at two gateways.
func twoLogs() report.Input {
	in := input()
	for _, node := range []string{"zone-a", "zone-b"} {
		v := in.Verification
		v.Signed = []string{"jiragate/us/" + node + "+dd9ee1c0+Aa"}
		in.Logs = append(in.Logs, report.Log{
			Node: node, Verification: v, Checkpoint: []byte("jiragate/us/" + node + "\n5000\ncm9vdA==\n"),
			First: november.AddDate(0, -1, 0), Last: in.Until.AddDate(0, 0, 1),
		})
	}
	in.Verification, in.Checkpoint = report.Verification{}, nil
	return in
}

// of are records of the log of a node.
func of(node string, list ...audit.Record) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, r := range list {
			if !yield(audit.Entry{Record: r, Node: node}, nil) {
				return
			}
		}
	}
}

func both(a, b iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, part := range []iter.Seq2[audit.Entry, error]{a, b} {
			for e, err := range part {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

func collectOf(t *testing.T, in report.Input, records iter.Seq2[audit.Entry, error]) *report.Report {
	t.Helper()
	r, err := report.Collect(in, records)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func findingsOf(r *report.Report) []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Level+" "+f.Code+": "+f.Text)
	}
	return list
}

// What is wrong with one of several logs is said of that one, on the first page.
func TestHeadlineOfSeveralLogs(t *testing.T) {
	const from = "This is made from the logs of 2 gateways: zone-a, zone-b."
	const calls = "In November 2026, 3 calls for the connection acme went on record: 3 allowed, 0 refused."
	for name, tt := range map[string]struct {
		change   func(a, b *report.Log)
		want     []string // of the headline, beside what is said of the calls
		findings []string // prefixes
	}{
		"all is well": {
			change: func(a, b *report.Log) {},
			want:   []string{from, "The logs, of 10,000 records together, were verified, each by itself, and are unbroken; signed checkpoints cover all records of this month."},
		},
		"one fails": {
			change: func(_, b *report.Log) {
				b.Verification.OK, b.Verification.Failure = false, "line 7 was changed"
			},
			want:     []string{from, "Of these, the log of zone-b failed its verification, so nothing below is proven."},
			findings: []string{"alert log_not_verified: The log of node zone-b failed its verification: line 7 was changed."},
		},
		"retention has taken something of one": {
			change: func(a, _ *report.Log) {
				a.Verification.RetainedFrom, a.Verification.RetainedSince = 360, november.AddDate(0, 0, 15)
				a.First = a.Verification.RetainedSince
			},
			want: []string{from,
				"Older records of zone-a were deleted when their time of retention was over: what is said here is of the records that are left.",
				"The logs, of 10,000 records together, were verified, each by itself, and are unbroken; signed checkpoints cover all records of this month that are left."},
			findings: []string{"notice records_not_kept: The records of node zone-a before number 360 were deleted when their time of retention was over: of this month, those before 2026-11-16T00:00:00Z are missing."},
		},
		"one begins late, one ends early": {
			change: func(a, b *report.Log) { a.First, b.Last = november.AddDate(0, 0, 9), november.AddDate(0, 0, 20) },
			want: []string{from, "The logs of zone-a, zone-b do not reach over the whole time: see the findings.",
				"The logs, of 10,000 records together, were verified, each by itself, and are unbroken; signed checkpoints cover all records of this month."},
			findings: []string{
				"notice log_part_of_month: The log of node zone-a begins on 2026-11-10T00:00:00Z: of the rest",
				"notice log_part_of_month: The log of node zone-b ends on 2026-11-21T00:00:00Z: of the rest",
			},
		},
		"one is not signed": {
			change:   func(a, _ *report.Log) { a.Verification.CheckpointSize = 0 },
			want:     []string{from, "The logs, of 10,000 records together, were verified, each by itself, and are unbroken; that of zone-a by its own chain alone: no signed checkpoint covers it."},
			findings: []string{"notice log_not_signed: No signed checkpoint covers the log of node zone-a."},
		},
		"the same seq, behind the checkpoint of one alone": {
			change: func(_, b *report.Log) { b.Verification.CheckpointSize = 1 },
			want: []string{from,
				"The logs, of 10,000 records together, were verified, each by itself, and are unbroken; signed checkpoints cover all records of this month but the last 1."},
			findings: []string{"notice records_not_signed: Behind the newest signed checkpoint"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := twoLogs()
			tt.change(&in.Logs[0], &in.Logs[1])
			r := collectOf(t, in, both(of("zone-a", aCall(1), aCall(2)), of("zone-b", aCall(2))))
			got := slices.DeleteFunc(slices.Clone(r.Headline), func(s string) bool {
				return s == calls || strings.HasPrefix(s, "All calls")
			})
			if len(got) == len(r.Headline) {
				t.Errorf("%q does not count the calls of both", r.Headline)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			findings := findingsOf(r)
			if len(findings) != len(tt.findings) {
				t.Fatalf("findings: %q", findings)
			}
			for i, want := range tt.findings {
				if !strings.HasPrefix(findings[i], want) {
					t.Errorf("%q does not begin with %q", findings[i], want)
				}
			}
		})
	}
}

// The page shows each log with its keys, and the JSON too; that of a single log is what
// it was.
func TestReportShowsEachLog(t *testing.T) {
	in := twoLogs()
	in.Logs[1].Verification.OK = false
	r := collectOf(t, in, both(of("zone-a", aCall(1, anAct)), of("zone-b", aCall(1, func(r *audit.Record) { r.Code = audit.CodeInterrupted }))))
	page := strings.Join(strings.Fields(textOf(t, pageOf(t, r))), " ")
	for _, want := range []string{"zone-a: verified", "zone-b: not verified", "Node zone-a", "jiragate/us/zone-a+dd9ee1c0+Aa", "jiragate/us/zone-b+dd9ee1c0+Aa"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Verification struct {
			OK      bool
			Failure string
			Records int
		}
		Logs []struct {
			Node, Checkpoint string
			Verification     struct{ OK bool }
		}
		Acts    []struct{ Node string }
		Unknown []struct{ Node string } `json:"outcome_unknown"`
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	if d := decoded; d.Verification.OK || d.Verification.Records != 10000 || len(d.Logs) != 2 || d.Logs[0].Node != "zone-a" || !d.Logs[0].Verification.OK ||
		!strings.HasPrefix(d.Logs[1].Checkpoint, "jiragate/us/zone-b\n") || d.Acts[0].Node != "zone-a" || d.Unknown[0].Node != "zone-b" {
		t.Errorf("%+v", d)
	}
	single, err := collect(t, input(), aCall(1, anAct)).JSON()
	if err != nil || strings.Contains(string(single), `"logs"`) || strings.Contains(string(single), `"node"`) {
		t.Errorf("a single log has nodes (%v)", err)
	}
}

func TestCollectRefusesLogs(t *testing.T) {
	for says, change := range map[string]func(*report.Input){
		"has no node": func(in *report.Input) { in.Logs[0].Node = "" },
		`the log of node "zone-b" is given twice`: func(in *report.Input) { in.Logs[0].Node = "zone-b" },
		`node "zone-a": the checkpoint is no`:     func(in *report.Input) { in.Logs[0].Checkpoint = []byte("\x1b") },
		`record 7 is of the node "zone-c"`:        func(*report.Input) {},
	} {
		in := twoLogs()
		change(&in)
		if _, err := report.Collect(in, of("zone-c", aCall(7))); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}
