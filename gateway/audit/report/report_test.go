package report_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
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
		"no checkpoint": {
			in: func(in *report.Input) { in.Verification.CheckpointSize = 0 },
			want: []string{
				"In November 2026, no call for the connection acme went on record.",
				"The log of 5,000 records was verified and is unbroken, by its own chain alone: no signed checkpoint covers it.",
			}},
		"the last ones are not signed": {
			in:    func(in *report.Input) { in.Verification.CheckpointSize = 10 },
			calls: []audit.Record{aCall(10), aCall(11), aCall(12)}, want: []string{
				"In November 2026, 3 calls for the connection acme went on record: 3 allowed, 0 refused.",
				"All calls that were allowed were to documented operations.",
				"All calls that left came from published addresses.",
				"The log of 5,000 records was verified and is unbroken; a signed checkpoint covers all records of this month but the last 2.",
			}},
		"half of it is gone": {
			in: halfGone, want: []string{
				"Older records were deleted when their time of retention was over: what is said here is of the records that are left.",
				"In November 2026, no call for the connection acme went on record.",
				"The log of 5,000 records was verified and is unbroken; a signed checkpoint covers all records of this month that are left.",
			}},
		"half of it is gone, and the last one is not signed": {
			in: func(in *report.Input) { halfGone(in); in.Verification.CheckpointSize = 399 }, calls: []audit.Record{aCall(400)}, want: []string{
				"Older records were deleted when their time of retention was over: what is said here is of the records that are left.",
				"In November 2026, 1 call for the connection acme went on record: 1 allowed, 0 refused.",
				"All calls that were allowed were to documented operations.",
				"All calls that left came from published addresses.",
				"The log of 5,000 records was verified and is unbroken; a signed checkpoint covers all records of this month that are left but the last 1.",
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

// halfGone is a month whose first half retention has taken.
func halfGone(in *report.Input) {
	in.Verification.RetainedFrom, in.Verification.RetainedSince = 360, november.AddDate(0, 0, 15)
}

// Without a checkpoint the report shows less than with one, and says so.
func TestLimitsWithoutACheckpoint(t *testing.T) {
	in := input()
	signed := collect(t, in).Limits
	in.Verification.CheckpointSize = 0
	want := append(slices.Clone(signed), "Without a signed checkpoint, it cannot show that no record was cut off from the end of the log, and not that the log was not replaced as a whole.")
	if diff := cmp.Diff(want, collect(t, in).Limits); diff != "" {
		t.Error(diff)
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

// A call that a rule only reports got its answer all the same: it did not fail.
func TestFailed(t *testing.T) {
	for _, tt := range []struct {
		status           int
		code             string
		failed, reported uint64
	}{
		{200, "", 0, 0}, {399, "", 0, 0}, {400, "", 1, 0}, {0, "", 1, 0}, {200, "upstream_response_incomplete", 1, 0},
		{200, "project_not_allowed", 0, 1}, {404, "project_not_allowed", 1, 1},
	} {
		r := collect(t, input(), aCall(1, func(r *audit.Record) { r.Status, r.Code = tt.status, tt.code }))
		var ofOperation uint64
		for _, o := range r.Operations {
			ofOperation += o.Failed
		}
		if r.Totals.Failed != tt.failed || ofOperation != tt.failed || r.Totals.Reported != tt.reported {
			t.Errorf("status %d, code %q: %d failed, %d of its operation, %d reported; want %d, %d, %d",
				tt.status, tt.code, r.Totals.Failed, ofOperation, r.Totals.Reported, tt.failed, tt.failed, tt.reported)
		}
	}
}

func TestOutcomesOfActs(t *testing.T) {
	for _, tt := range []struct {
		decision string
		status   int
		code     string
		want     string
	}{
		{audit.DecisionAllow, 200, "", "done"}, {audit.DecisionAllow, 399, "", "done"},
		{audit.DecisionAllow, 400, "", "failed"}, {audit.DecisionAllow, 200, "internal_error", "failed"},
		{audit.DecisionAllow, 0, audit.CodeInterrupted, "interrupted"},
		{audit.DecisionDeny, 403, "not_granted", "refused"}, {audit.DecisionDeny, 0, audit.CodeInterrupted, "refused"},
	} {
		r := collect(t, input(), aCall(1, anAct, func(r *audit.Record) { r.Decision, r.Status, r.Code = tt.decision, tt.status, tt.code }))
		if got := r.Acts[0].Outcome; got != tt.want {
			t.Errorf("%s, status %d, code %q: %s, want %s", tt.decision, tt.status, tt.code, got, tt.want)
		}
	}
}

// Policies come as they came into force. The table of operations begins with what
// the newest documents; what an older one had beside it follows.
func TestOrderOfPolicies(t *testing.T) {
	in := input()
	row := func(id, purpose string, enabled bool) policy.Operation {
		return policy.Operation{ID: id, Edition: policy.Cloud, Purpose: purpose, Enabled: enabled}
	}
	in.Policies = []report.PolicyInForce{
		{SHA256: "ffff", Operations: []policy.Operation{row("a.get", "older", false), row("b.get", "older", true)}},
		{SHA256: "0000", Operations: []policy.Operation{row("b.get", "newer", false), row("c.get", "newer", true)}},
	}
	r := collect(t, in)
	if r.Policies[0].SHA256 != "ffff" || r.Policies[1].SHA256 != "0000" {
		t.Errorf("policies %+v", r.Policies)
	}
	var got []string
	for _, o := range r.Operations {
		got = append(got, fmt.Sprintf("%s %s %t", o.ID, o.Purpose, o.Enabled))
	}
	// What any of them allows is enabled.
	if diff := cmp.Diff([]string{"b.get newer true", "c.get newer true", "a.get older false"}, got); diff != "" {
		t.Error(diff)
	}
}

// The month's addresses are those that were published in some moment of it.
func TestPublishedInTheMonth(t *testing.T) {
	december := november.AddDate(0, 1, 0)
	for name, tt := range map[string]struct {
		from, until time.Time
		want        bool
	}{
		"long before, without an end": {november.AddDate(-1, 0, 0), time.Time{}, true},
		"over before":                 {november.AddDate(-1, 0, 0), november.AddDate(0, 0, -1), false},
		"over as it begins":           {november.AddDate(-1, 0, 0), november, false},
		"over just after":             {november.AddDate(-1, 0, 0), november.Add(1), true},
		"in its midst":                {november.AddDate(0, 0, 3), november.AddDate(0, 0, 4), true},
		"from just before its end":    {december.Add(-1), time.Time{}, true},
		"from its end on":             {december, time.Time{}, false},
		"later":                       {december.AddDate(0, 0, 1), december.AddDate(0, 0, 2), false},
	} {
		in := input()
		in.Published = []report.PublishedAddress{{Address: netip.MustParseAddr("192.0.2.1"), Region: "us", From: tt.from, Until: tt.until}}
		if got := len(collect(t, in).Published) == 1; got != tt.want {
			t.Errorf("%s: listed %t, want %t", name, got, tt.want)
		}
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
	undocumented := 0
	for _, c := range r.Clients {
		clients += c.Allowed
	}
	for _, a := range r.Addresses {
		addresses += a.Calls
	}
	for _, o := range r.Operations {
		operations += o.Allowed
		if !o.Documented {
			undocumented++
		}
	}
	if clients != 3000 || addresses != 3000 || operations != 3000 {
		t.Errorf("clients %d, addresses %d, operations %d: want 3000 of each", clients, addresses, operations)
	}
	if len(r.Clients) > 1001 || len(r.Addresses) > 1001 || undocumented > 1001 || r.Clients[0].Name != report.More {
		t.Errorf("%d clients, %d addresses, %d operations, first %q", len(r.Clients), len(r.Addresses), undocumented, r.Clients[0].Name)
	}
}

// As many acts and calls are listed as there is room for. The page says where there
// were more, and only there.
func TestListsEndAtTheirBounds(t *testing.T) {
	interrupted := func(r *audit.Record) { r.Code = audit.CodeInterrupted }
	for _, tt := range []struct {
		what                func(*audit.Record)
		came, acts, unknown int
		caption             string
	}{
		{anAct, report.MaxActs, report.MaxActs, 0, "10,000 acts, oldest first; times are UTC"},
		{anAct, report.MaxActs + 1, report.MaxActs, 0, "10,001 acts, oldest first; the first 10000 of them; times are UTC"},
		{interrupted, 1000, 0, 1000, "1,000 calls, oldest first; times are UTC"},
		{interrupted, 1001, 0, 1000, "1,001 calls, oldest first; the first 1000 of them; times are UTC"},
	} {
		r := collect(t, input(), slices.Repeat([]audit.Record{aCall(1, tt.what)}, tt.came)...)
		if len(r.Acts) != tt.acts || len(r.Unknown) != tt.unknown || r.Totals.Acts+r.Totals.Unknown != uint64(tt.came) {
			t.Errorf("of %d: %d acts and %d calls are listed, %d and %d counted", tt.came, len(r.Acts), len(r.Unknown), r.Totals.Acts, r.Totals.Unknown)
		}
		if !strings.Contains(textOf(t, pageOf(t, r)), tt.caption) {
			t.Errorf("the page lacks %q", tt.caption)
		}
	}
}

// The CSV tells 100,000 combinations apart. What comes then counts in the row that it
// has, or by day, kind and decision alone; nothing is lost.
func TestCSVEndsAtItsBound(t *testing.T) {
	const bound = 100_000
	list := slices.Repeat([]audit.Record{aCall(1)}, bound)
	for i := range list {
		list[i].Client = "client-" + strconv.Itoa(i)
	}
	list = append(list,
		aCall(1, func(r *audit.Record) { r.Client = "client-7" }), // has its row
		aCall(2), aCall(3, func(r *audit.Record) { r.Operation, r.Status, r.EgressIP = "issue.get", 404, "" }),
		aCall(4, refused("not_granted")), aCall(5, anAct), aCall(48),
	)
	rows, err := csv.NewReader(bytes.NewReader(csvOf(t, collect(t, input(), list...)))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var together []string
	apart, records := 0, 0
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[10])
		if err != nil {
			t.Fatal(err)
		}
		records += n
		if row[3] == report.More {
			together = append(together, strings.Join(row, ","))
			continue
		}
		if apart++; (n == 2) != (row[8] == "client-7") {
			t.Errorf("%d records of %s", n, row[8])
		}
	}
	if apart != bound || records != len(list) {
		t.Errorf("%d rows of %d records: want %d of %d", apart, records, bound, len(list))
	}
	if diff := cmp.Diff([]string{
		"acme,2026-11-01,act,(more),allow,,0,,,,1,0,0",
		"acme,2026-11-01,call,(more),allow,,0,,,,2,0,200",
		"acme,2026-11-01,call,(more),deny,,0,,,,1,0,0",
		"acme,2026-11-03,call,(more),allow,,0,,,,1,0,100",
	}, together); diff != "" {
		t.Error(diff)
	}
}
