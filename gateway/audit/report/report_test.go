package report_test

import (
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
)

func TestHeadlineSaysWhatIsKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		in    func(*report.Input)
		calls []audit.Record
		want  []string
	}{
		"a good month": {calls: []audit.Record{aCall(1), aCall(2, refused("not_granted"))}, want: []string{
			"In November 2026, 2 calls for the connection acme went on record: 1 allowed, 1 refused.",
			"All calls that were allowed were to documented operations.",
			"Refused calls were not sent to Jira.",
			"All calls that left came from published addresses.",
			"The log of 5,000 records was verified and is unbroken; a signed checkpoint covers all records of this month.",
		}},
		"nothing": {want: []string{
			"In November 2026, no call for the connection acme went on record.",
			"The log of 5,000 records was verified and is unbroken; a signed checkpoint covers all records of this month.",
		}},
		"a bad one": {
			in: func(in *report.Input) { in.Verification.OK, in.Made = false, november.AddDate(0, 0, 2) },
			calls: []audit.Record{
				aCall(1, func(r *audit.Record) { r.Operation = "x" }),
				aCall(2, func(r *audit.Record) { r.EgressIP = "unpinned" }),
				aCall(3, func(r *audit.Record) { r.Code = audit.CodeInterrupted }),
			}, want: []string{
				"The log from which this is made failed its verification, so nothing below is proven.",
				"The month was not over when this was made, on 3 November 2026 at 00:00 UTC.",
				"In November 2026, 3 calls for the connection acme went on record: 3 allowed, 0 refused.",
				"Not all calls that were allowed were to documented operations: 1 call is not.",
				"Not all calls that left came from published addresses: 1 did not.",
				"For 1 call it is not known whether Jira carried out what was asked.",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			if tt.in != nil {
				tt.in(&in)
			}
			if diff := cmp.Diff(tt.want, collect(t, in, tt.calls...).Headline); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCountsByOperation(t *testing.T) {
	r := sample(t)
	byID := map[string]report.Operation{}
	for _, o := range r.Operations {
		byID[o.ID] = o
	}
	create := byID["issue.create"]
	if create.Allowed != 2 || create.Failed != 1 || create.BytesIn != 512 ||
		!cmp.Equal(create.Statuses, []report.Count{{Name: "2xx", Count: 1}, {Name: "5xx", Count: 1}}) || !cmp.Equal(create.Codes, []report.Count{{Name: "upstream_timeout", Count: 1}}) {
		t.Errorf("issue.create: %+v", create)
	}
	if o := byID["issue.delete"]; o.Refused != 1 || o.Allowed != 0 {
		t.Errorf("issue.delete: %+v", o)
	}
	if o, ok := byID["priority.list"]; !ok || o.Allowed != 0 || !o.Documented || o.Purpose == "" {
		t.Errorf("an operation that nobody called is missing: %+v", o)
	}
	if want := (report.Totals{Calls: 12, Allowed: 9, Refused: 3, Failed: 3, Left: 8, Interrupted: 1, Unknown: 2, Acts: 2, BytesIn: 512, BytesOut: 900}); r.Totals != want {
		t.Errorf("totals %+v, want %+v", r.Totals, want)
	}
	if len(r.Days) != 30 || r.Days[0].Allowed != 5 || r.Days[0].Refused != 3 || r.Days[29].Day != "2026-11-30" {
		t.Errorf("days %+v", r.Days)
	}
	if f := r.Refusals[0]; f.Code != "operation_not_documented" || f.Count != 2 || f.Meaning == "" || !f.First.Equal(november.Add(7*time.Hour)) || !f.Last.Equal(november.Add(8*time.Hour)) ||
		!cmp.Equal(f.Clients, []report.Count{{Name: "billing", Count: 1}, {Name: "wiki", Count: 1}}) {
		t.Errorf("refusals %+v", r.Refusals)
	}
	if len(r.Acts) != 2 || r.Acts[0].Outcome != "done" || r.Acts[1].Outcome != "refused" {
		t.Errorf("acts %+v", r.Acts)
	}
	if a := r.Addresses[1]; a.Address != "52.73.143.252" || a.Calls != 2 || a.Unpublished != 1 {
		t.Errorf("addresses %+v", r.Addresses)
	}
}

// Which calls have an outcome that is not known, so that somebody looks in Jira.
func TestOutcomeUnknown(t *testing.T) {
	post := func(code, egressIP string) audit.Record {
		return aCall(1, func(r *audit.Record) { r.Method, r.Code, r.EgressIP = "POST", code, egressIP })
	}
	get := aCall(1, func(r *audit.Record) { r.Code = "upstream_timeout" })
	for _, tt := range []struct {
		call audit.Record
		want int
	}{
		{post(audit.CodeInterrupted, ""), 1}, {post("upstream_timeout", "52.54.159.237"), 1}, {post("client_disconnected", "unpinned"), 1},
		{post("upstream_unreachable", ""), 0}, {post("", "52.54.159.237"), 0}, {post("upstream_permission_refused", "52.54.159.237"), 0}, {get, 0},
	} {
		if r := collect(t, input(), tt.call); len(r.Unknown) != tt.want || r.Totals.Unknown != uint64(tt.want) {
			t.Errorf("%s %s from %q: %d", tt.call.Method, tt.call.Code, tt.call.EgressIP, len(r.Unknown))
		}
	}
}

// The codes that services are told of mean something here, too.
func TestEveryRefusalHasAMeaning(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(doc), "Answers of Jira's own")
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [0-9]+ \\|").FindAllStringSubmatch(text, -1)
	if len(rows) < 40 {
		t.Fatalf("docs/services.md has %d codes: is its table another?", len(rows))
	}
	afterwards := []string{"upstream_unreachable", "upstream_tls_failed", "upstream_timeout", "upstream_response_invalid", "response_withheld"} // allowed first
	for _, row := range rows {
		r := collect(t, input(), aCall(1, refused(row[1])))
		if m := r.Refusals[0].Meaning; strings.Contains(m, "does not know") && !strings.Contains(strings.Join(afterwards, " "), row[1]) {
			t.Errorf("%s has no meaning", row[1])
		}
	}
}

// Memory depends on what can be told apart, not on how many records there are.
func TestStreamsInBoundedMemory(t *testing.T) {
	const n = 100_000
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, during := live(), uint64(0)
	r, err := report.Collect(input(), func(yield func(audit.Entry, error) bool) {
		for i := range uint64(n) {
			record := aCall(1+i%700, anActEach(i), func(r *audit.Record) { r.Path = "/rest/api/3/project/" + strings.Repeat("P", 500) })
			if !yield(audit.Entry{Record: record}, nil) {
				return
			}
		}
		during = live()
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Totals.Calls+r.Totals.Acts != n || len(r.Acts) != report.MaxActs || r.Totals.Acts != n/2 {
		t.Errorf("%+v, %d acts", r.Totals, len(r.Acts))
	}
	if used := int64(during) - int64(before); used > 32<<20 { // the records are 50 MB of paths alone
		t.Errorf("%d bytes are held", used)
	}
}

// anActEach makes every other record an act.
func anActEach(i uint64) func(*audit.Record) {
	return func(r *audit.Record) {
		if i%2 == 0 {
			anAct(r)
		}
	}
}

// Names without end are counted together beyond a bound; sums stay right.
func TestManyNamesAreCountedTogether(t *testing.T) {
	var list []audit.Record
	for i := range 3000 {
		list = append(list, aCall(1, func(r *audit.Record) {
			name := strings.Repeat("x", 1+i%50) + strings.Repeat("y", 1+i/50)
			r.Client, r.EgressIP, r.Operation = name, name, name
		}))
	}
	r := collect(t, input(), list...)
	var clients, addresses, operations uint64
	for _, c := range r.Clients {
		clients += c.Allowed
	}
	for _, a := range r.Addresses {
		addresses += a.Calls
	}
	for _, o := range r.Operations {
		operations += o.Allowed
	}
	if clients != 3000 || addresses != 3000 || operations != 3000 {
		t.Errorf("clients %d, addresses %d, operations %d: want 3000 of each", clients, addresses, operations)
	}
	if len(r.Clients) > 1001 || len(r.Addresses) > 1001 || r.Clients[0].Name != report.More {
		t.Errorf("%d clients, %d addresses, first %q", len(r.Clients), len(r.Addresses), r.Clients[0].Name)
	}
}
