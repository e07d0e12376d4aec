package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
)

// inputTime is how a field of a form has a time, in UTC here.
const inputTime = "2006-01-02T15:04"

// callFilter is what the address says of the records to list.
type callFilter struct {
	Kind, Decision, Connection, Client, Operation, Code, Status, Text string
	Since, Until                                                      string // as inputTime has it, or as the API takes it
}

func filterOf(q url.Values) callFilter {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return callFilter{
		Kind: get("kind"), Decision: get("decision"), Connection: get("connection"), Client: get("client"), Operation: get("operation"),
		Code: get("code"), Status: get("status"), Text: get("text"), Since: get("since"), Until: get("until"),
	}
}

// values is f as an address has it.
func (f callFilter) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"kind": f.Kind, "decision": f.Decision, "connection": f.Connection, "client": f.Client, "operation": f.Operation,
		"code": f.Code, "status": f.Status, "text": f.Text, "since": f.Since, "until": f.Until,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// With returns the address of f with one of its parts replaced, for links.
func (f callFilter) With(pairs ...string) string {
	q := f.values()
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return address(q)
}

// Cleared is the address of f without what narrows it.
func (f callFilter) Cleared() string { return callFilter{Kind: f.Kind, Decision: f.Decision}.With() }

// Narrow reports whether f leaves anything out besides the kinds of records.
func (f callFilter) Narrow() bool { return f != callFilter{Kind: f.Kind, Decision: f.Decision} }

func address(q url.Values) string {
	if len(q) == 0 {
		return base + "calls"
	}
	return base + "calls?" + q.Encode()
}

// asked is f as the API takes it.
func (f callFilter) asked() url.Values {
	f.Since, f.Until = absolute(f.Since), absolute(f.Until)
	return f.values()
}

// absolute turns the time of a field into one that the API takes.
func absolute(s string) string {
	if t, err := time.Parse(inputTime, s); err == nil {
		return t.Format(time.RFC3339)
	}
	return s
}

// callsPage lists records.
type callsPage struct {
	Filter callFilter
	Rows   []recordRow
	Next   string // address of the older ones
	Newest bool   // nothing newer was left out
	Follow string // address of the stream of new ones; empty where it can't be followed
	Days   []day
	// Damaged are lines among them that are no records.
	Damaged []admin.DamagedLine
}

// day is a shortcut to one day, or to all.
type day struct {
	Text         string
	Since, Until string
	Current      bool
}

func calls(v *visit) error {
	q := v.r.URL.Query()
	if tidied, changed := tidy(q, v.now); changed {
		http.Redirect(v.w, v.r, address(tidied), http.StatusSeeOther)
		return nil
	}
	f := filterOf(q)
	asked := f.asked()
	asked.Set("limit", strconv.Itoa(pageSize))
	if before := q.Get("before"); before != "" {
		asked.Set("before", before)
	}
	var found records
	if err := v.get(at("audit", "records")+"?"+asked.Encode(), &found); err != nil {
		return err
	}
	p := callsPage{Filter: f, Rows: rows(found.Records, v.now), Newest: q.Get("before") == "", Days: days(f, v.now), Damaged: found.Damaged}
	if found.Next != 0 {
		p.Next = f.With("before", strconv.FormatUint(found.Next, 10))
	}
	if p.Newest && f.Since == "" && f.Until == "" {
		p.Follow = base + "calls/live?" + f.asked().Encode()
	}
	section := "calls"
	if f.Decision == audit.DecisionDeny && f.Kind == "call" {
		section = "refused"
	}
	return v.show(http.StatusOK, "calls", view{Title: headline(f), Section: section, Live: p.Follow != "", Data: p})
}

// tidy leaves the empty fields of a form out of an address, so that it can be sent to
// others, and puts the days of a button in their place.
func tidy(q url.Values, now time.Time) (url.Values, bool) {
	changed := false
	for name, values := range q {
		if len(values) == 1 && values[0] == "" {
			q.Del(name)
			changed = true
		}
	}
	if name := q.Get("day"); name != "" {
		q.Del("day")
		for _, d := range days(callFilter{}, now) {
			if d.Text == name {
				q.Set("since", d.Since)
				q.Set("until", d.Until)
			}
		}
		for _, name := range []string{"since", "until"} {
			if q.Get(name) == "" {
				q.Del(name)
			}
		}
		changed = true
	}
	return q, changed
}

func days(f callFilter, now time.Time) []day {
	today := now.UTC().Truncate(24 * time.Hour)
	at := func(n int) string { return today.AddDate(0, 0, n).Format(inputTime) }
	list := []day{
		{Text: "Any time"},
		{Text: "Today", Since: at(0), Until: at(1)},
		{Text: "Yesterday", Since: at(-1), Until: at(0)},
		{Text: "Last 7 days", Since: at(-6), Until: at(1)},
		{Text: "Last 30 days", Since: at(-29), Until: at(1)},
	}
	for i := range list {
		list[i].Current = list[i].Since == f.Since && list[i].Until == f.Until
	}
	return list
}

func headline(f callFilter) string {
	what := "Calls and changes"
	switch {
	case f.Kind == "act" && f.Decision == audit.DecisionDeny:
		what = "Refused changes"
	case f.Kind == "act":
		what = "Changes"
	case f.Kind == "call" && f.Decision == audit.DecisionDeny:
		what = "Refused calls"
	case f.Decision == audit.DecisionDeny:
		what = "Refused calls and changes"
	case f.Kind == "call" && f.Decision == audit.DecisionAllow:
		what = "Calls let through"
	case f.Kind == "call":
		what = "Calls"
	}
	if f.Connection != "" {
		what += " of " + f.Connection
	}
	return what
}

// recordRow is a record as a row of a table.
type recordRow struct {
	audit.Record
	Moment string // its time, in UTC, without the year if that is this one
}

// records is what the API finds in the log.
type records struct {
	Records []audit.Record
	Next    uint64
	Damaged []admin.DamagedLine
}

func rows(records []audit.Record, now time.Time) []recordRow {
	list := make([]recordRow, 0, len(records))
	for _, r := range records {
		layout := "2 Jan 15:04:05"
		if r.Time.UTC().Year() != now.Year() {
			layout = "2 Jan 2006 15:04:05"
		}
		list = append(list, recordRow{r, r.Time.UTC().Format(layout)})
	}
	return list
}

// callPage is about one record.
type callPage struct {
	recordRow
	Line    string
	Segment string
	Covered bool
	Rule    *policyOperation // that let it through, if it is known
}

func call(v *visit) error {
	var found struct {
		Record  audit.Record
		Line    string
		Segment string
		Covered bool
	}
	ref := v.r.PathValue("ref")
	if err := v.get(at("audit", "records", ref), &found); err != nil {
		return err
	}
	p := callPage{recordRow: rows([]audit.Record{found.Record}, v.now)[0], Line: found.Line, Segment: found.Segment, Covered: found.Covered}
	p.Rule = v.rule(found.Record)
	title := "Call " + strconv.FormatUint(found.Record.Seq, 10)
	if found.Record.IsAct() {
		title = "Change " + strconv.FormatUint(found.Record.Seq, 10)
	}
	return v.show(http.StatusOK, "call", view{Title: title, Section: "calls", Data: p})
}

// rule is the operation of the policy that decided, as it was then; nil if there is
// none, or if the policy isn't kept.
func (v *visit) rule(r audit.Record) *policyOperation {
	var decided policyPage
	if r.Operation == "" || r.IsAct() || r.PolicySHA256 == "" || v.get(at("policy", "history", r.PolicySHA256), &decided) != nil {
		return nil
	}
	for _, o := range decided.Operations {
		if o.ID == r.Operation && o.Edition == r.Edition {
			return &o
		}
	}
	return nil
}

// proof hands on the proof that a record is in the log.
func proof(v *visit) error {
	ref := v.r.PathValue("ref")
	answer, err := v.ask(http.MethodGet, at("audit", "records", ref, "proof"), nil, nil)
	if err != nil {
		return err
	}
	return v.download("record-"+ref+".tlog-proof", answer)
}

// download hands on an answer of the API as a file.
func (v *visit) download(name string, answer *recorder) error {
	h := v.w.Header()
	h.Set("Content-Type", answer.header.Get("Content-Type"))
	h.Set("Content-Disposition", attachment(answer.header.Get("Content-Disposition"), name))
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(answer.body.Bytes()) // a browser that has gone can't be told more
	return nil
}

func attachment(said, name string) string {
	if said != "" {
		return said
	}
	return `attachment; filename="` + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, name) + `"`
}
