package report

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"jiragate/gateway/audit"
)

// unpinned is the egress address in the records of calls that left by the system's
// default route.
const unpinned = "unpinned"

// Collect reads the records of the connection and the month, and of nothing else:
// another one is an error, since the report is given to a customer. A line of the
// log that is no record ([audit.DefectError]) is counted and is a finding; any
// other error of the sequence ends it.
func Collect(in Input, records iter.Seq2[audit.Entry, error]) (*Report, error) {
	if err := in.check(); err != nil {
		return nil, fmt.Errorf("audit report: %w", err)
	}
	c := newCollector(&in)
	for e, err := range records {
		if defect, ok := errors.AsType[*audit.DefectError](err); ok {
			c.damage(e.Node, defect)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("audit report: reading the records: %w", err)
		}
		r := &e.Record
		if r.Connection != in.Connection || r.Time.Before(in.From) || !r.Time.Before(in.Until) {
			return nil, fmt.Errorf("audit report: record %d is not of the connection %s and the month %s", r.Seq, in.Connection, in.From.UTC().Format(monthLayout))
		}
		if c.log(e.Node) == nil {
			return nil, fmt.Errorf("audit report: record %d is of the node %s, whose log is not among those given", r.Seq, quoted(e.Node))
		}
		c.add(&e)
	}
	return c.report(), nil
}

type collector struct {
	in      *Input
	logs    []Log
	promise *promise
	totals  Totals

	findings   map[string]*found
	damage1    string // the first damaged line
	days       map[string]*Day
	operations map[operationKey]*operationTally
	refusals   tally[refusalTally]
	addresses  tally[addressTally]
	clients    tally[clientTally]
	acts       []Act
	unknown    []Call
	cells      cells
}

type operationTally struct {
	allowed, refused, failed uint64
	statuses, codes          counts
	bytesIn, bytesOut        int64
}

type refusalTally struct {
	n uint64
	span
	clients counts
}

type addressTally struct {
	n, unpublished uint64
	span
}

type clientTally struct {
	allowed, refused uint64
	span
}

func newCollector(in *Input) *collector {
	return &collector{
		in: in, logs: in.logs(), promise: newPromise(in.Policies),
		findings: map[string]*found{}, days: map[string]*Day{}, operations: map[operationKey]*operationTally{},
		refusals: newTally[refusalTally](maxNames), addresses: newTally[addressTally](maxNames), clients: newTally[clientTally](maxNames),
		cells: cells{},
	}
}

func (c *collector) damage(node string, d *audit.DefectError) {
	if c.totals.Damaged++; c.totals.Damaged == 1 {
		// Not what is in it: it may be another customer's.
		c.damage1 = plain(fmt.Sprintf("%s line %d", d.Segment, d.Line))
		if node != "" {
			c.damage1 += " of node " + plain(node)
		}
	}
}

func (c *collector) add(e *audit.Entry) {
	c.placed(e)
	r := &e.Record
	if r.IsAct() {
		c.cells.add(r, "act")
		c.addAct(e)
		return
	}
	c.cells.add(r, "call")
	c.totals.Calls++
	day := c.days[r.Time.Format(time.DateOnly)]
	if day == nil {
		day = &Day{}
		c.days[r.Time.Format(time.DateOnly)] = day
	}
	client := c.clients.at(r.Client)
	client.add(r.Time)
	o := c.operation(r)
	if r.Decision == audit.DecisionAllow {
		day.Allowed++
		client.allowed++
		c.allowed(e, o)
	} else {
		day.Refused++
		client.refused++
		c.refused(r, o)
	}
	if r.EgressIP != "" {
		c.left(r)
	}
}

// placed looks at where a record is in the log, as against what was verified.
func (c *collector) placed(e *audit.Entry) {
	r, v := &e.Record, &c.log(e.Node).Verification
	if v.OK && r.Seq > v.Last {
		c.find(FindingLater, r)
	}
	if v.CheckpointSize > 0 && r.Seq > v.CheckpointSize {
		c.find(FindingTail, r)
	}
}

// operation is nil for a refused call that fits none.
func (c *collector) operation(r *audit.Record) *operationTally {
	if r.Operation == "" && r.Decision != audit.DecisionAllow {
		return nil
	}
	k := operationKey{r.Operation, r.Edition}
	if c.operations[k] == nil && len(c.operations) >= maxNames {
		k = operationKey{id: More}
	}
	o := c.operations[k]
	if o == nil {
		o = &operationTally{statuses: newCounts(8), codes: newCounts(maxNames)}
		c.operations[k] = o
	}
	return o
}

func (c *collector) allowed(e *audit.Entry, o *operationTally) {
	r := &e.Record
	c.totals.Allowed++
	c.totals.BytesIn += r.BytesIn
	c.totals.BytesOut += r.BytesOut
	o.allowed++
	o.bytesIn += r.BytesIn
	o.bytesOut += r.BytesOut
	o.statuses.add(statusClass(r.Status))
	if r.Code != "" {
		o.codes.add(r.Code)
	}
	if t := c.promise.policies[r.PolicySHA256]; t != nil {
		t.allowed++
	}
	if broken := c.promise.broken(r); broken != "" {
		c.find(broken, r)
	}
	reported := c.promise.reported[r.Code]
	if reported {
		c.totals.Reported++
	}
	if r.Status == 0 || r.Status >= 400 || r.Code != "" && !reported {
		c.totals.Failed++
		o.failed++
	}
	if r.Code == audit.CodeInterrupted {
		c.totals.Interrupted++
	}
	if outcomeUnknown(r) {
		c.totals.Unknown++
		if len(c.unknown) < maxUnknown {
			c.unknown = append(c.unknown, Call{plain(e.Node), r.Seq, r.Time, plain(r.ID), plain(r.Client), plain(r.Method), plain(r.Operation), plain(r.Path), plain(r.Code)})
		}
	}
}

func (c *collector) refused(r *audit.Record, o *operationTally) {
	c.totals.Refused++
	if o != nil {
		o.refused++
	}
	t := c.refusals.at(r.Code)
	if t.n == 0 {
		t.clients = newCounts(100)
	}
	t.n++
	t.add(r.Time)
	t.clients.add(r.Client)
	if r.EgressIP != "" {
		c.find(FindingRefusedLeft, r)
	}
}

func (c *collector) left(r *audit.Record) {
	if r.Decision == audit.DecisionAllow {
		c.totals.Left++
	}
	t := c.addresses.at(r.EgressIP)
	t.n++
	t.add(r.Time)
	switch {
	case r.EgressIP == unpinned:
		t.unpublished++
		c.find(FindingUnpinned, r)
	case !c.published(r):
		t.unpublished++
		c.find(FindingUnpublished, r)
	}
}

// published tells whether the address was in use by what was published, at some time
// between the arrival of the call and its end: the record does not say when it left.
func (c *collector) published(r *audit.Record) bool {
	address, err := netip.ParseAddr(r.EgressIP)
	if err != nil {
		return false
	}
	end := r.Time.Add(time.Duration(r.DurationMS * float64(time.Millisecond)))
	for _, p := range c.in.Published {
		if p.Address == address && (p.Region == "" || p.Region == r.Region) && !end.Before(p.From) && (p.Until.IsZero() || r.Time.Before(p.Until)) {
			return true
		}
	}
	return false
}

func (c *collector) addAct(e *audit.Entry) {
	r := &e.Record
	if c.totals.Acts++; len(c.acts) >= MaxActs {
		return
	}
	outcome := "done"
	switch {
	case r.Decision != audit.DecisionAllow:
		outcome = "refused"
	case r.Code == audit.CodeInterrupted:
		outcome = "interrupted"
	case r.Code != "" || r.Status >= 400:
		outcome = "failed"
	}
	c.acts = append(c.acts, Act{plain(e.Node), r.Seq, r.Time, plain(r.ID), plain(r.Client), plain(r.ClientAddr), plain(r.Operation), plain(r.Path), outcome, plain(r.Code), r.Status})
}

// outcomeUnknown tells of a call that Jira may or may not have carried out. A read
// changes nothing, so only an interrupted one counts: it may not have been made.
func outcomeUnknown(r *audit.Record) bool {
	switch r.Code {
	case audit.CodeInterrupted:
		return true
	case "upstream_timeout", "upstream_unreachable", "upstream_response_invalid", "upstream_response_incomplete", "response_withheld", "client_disconnected", "internal_error":
		return r.Method != "GET" && r.EgressIP != ""
	}
	return false
}

func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return fmt.Sprintf("%dxx", status/100)
}
