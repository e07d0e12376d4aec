package report

import (
	"fmt"

	"jiragate/gateway/audit"
)

// The codes of findings, in the order in which they are shown.
const (
	FindingNotVerified   = "log_not_verified"     // the log, or its signatures, fail
	FindingAbsent        = "log_absent"           // a gateway has published a checkpoint, and its log is not there
	FindingDamaged       = "log_damaged"          // lines are no records
	FindingNotDocumented = "call_not_documented"  // allowed, and not in the table of its policy
	FindingSwitchedOff   = "call_switched_off"    // allowed, and switched off by its policy for this connection
	FindingElsewhere     = "call_elsewhere"       // allowed, with another method, path or query than its operation's
	FindingNoPolicy      = "call_without_policy"  // allowed, by a policy that is not among those given
	FindingRefusedLeft   = "refused_call_left"    // refused, and with an egress address
	FindingUnpublished   = "egress_not_published" // from an address that was not published at its time
	FindingUnpinned      = "egress_unpinned"      // from no fixed address
	FindingPolicyAltered = "policy_altered"       // something else is kept under the hash of a policy
	FindingPolicyMissing = "policy_not_kept"      // allowed by a policy that is not kept
	FindingNotKept       = "records_not_kept"     // older records were deleted
	FindingLater         = "records_not_verified" // written after the verification
	FindingPart          = "log_part_of_month"    // one of several logs begins late, or ends early
	FindingUnsigned      = "log_not_signed"       // there is no signed checkpoint
	FindingTail          = "records_not_signed"   // behind the newest checkpoint
	FindingReported      = "rules_in_report_mode" // a rule in mode report would have refused them
)

// found counts the calls of a finding.
type found struct {
	n   uint64
	ids []string
}

func (c *collector) find(code string, r *audit.Record) {
	f := c.findings[code]
	if f == nil {
		f = &found{}
		c.findings[code] = f
	}
	if f.n++; len(f.ids) < maxExamples {
		f.ids = append(f.ids, plain(r.ID))
	}
}

// list gives the findings, alerts first.
func (c *collector) list() []Finding {
	list := []Finding{}
	add := func(level, code, text string) { list = append(list, Finding{code, level, text, 0, []string{}}) }
	of := func(level, code, text string) {
		if f := c.findings[code]; f != nil {
			list = append(list, Finding{code, level, fmt.Sprintf(text, calls(f.n)), f.n, f.ids})
		}
	}
	for i := range c.logs {
		if l := &c.logs[i]; failed(l) {
			add(LevelAlert, FindingNotVerified, c.theLog(l)+" failed its verification: "+orElse(plain(l.Verification.Failure), "no reason is given")+". Nothing in this report is proven.")
		}
	}
	for _, n := range c.in.Absent {
		text := fmt.Sprintf("The log of node %s is not among those this is made from: it had %s on %s, and calls that went through that gateway are not counted here.", plain(n.Node), many(n.Size, "record"), stamp(n.Published))
		switch {
		case !n.Retired:
			add(LevelAlert, FindingAbsent, text)
		case !n.Published.Before(c.in.From):
			add(LevelNotice, FindingAbsent, text+" The gateway has ended since, on purpose.")
		}
	}
	if n := c.totals.Damaged; n > 0 {
		add(LevelAlert, FindingDamaged, fmt.Sprintf("%s of the log, in the files of this month or later, cannot be read as records. What they held is not counted here. The first: %s.", many(n, "line"), c.damage1))
	}
	of(LevelAlert, FindingNotDocumented, "Allowed, and not documented by the policy in force at that time: %s.")
	of(LevelAlert, FindingSwitchedOff, "Allowed, and switched off for this connection by the policy in force at that time: %s.")
	of(LevelAlert, FindingElsewhere, "Allowed, with a method, a path or query parameters that are not those of the operation: %s.")
	of(LevelAlert, FindingNoPolicy, "Allowed, by a policy that is not known: %s.")
	of(LevelAlert, FindingRefusedLeft, "Refused, although the record says that the call left: %s.")
	of(LevelAlert, FindingUnpublished, "From an address that was not published as in use at that time: %s.")
	of(LevelAlert, FindingUnpinned, "From no fixed address, since none was configured: %s.")
	for _, p := range c.in.Policies {
		if p.Altered {
			add(LevelAlert, FindingPolicyAltered, "What is kept under the hash of the policy "+plain(p.SHA256)+" was altered: it is not the policy that decided.")
		}
	}
	of(LevelNotice, FindingPolicyMissing, "Allowed by a policy that was not kept, so that it is not known what it documented: %s.")
	for i := range c.logs {
		l := &c.logs[i]
		if !c.incomplete(l) {
			continue
		}
		v, records := &l.Verification, "The records"
		if c.several() {
			records += " of node " + plain(l.Node)
		}
		text := fmt.Sprintf("%s before number %d were deleted when their time of retention was over", records, v.RetainedFrom)
		switch {
		case c.allGone(l):
			add(LevelAlert, FindingNotKept, text+": all of this month are gone, so that nothing can be said about it.")
		case v.RetainedSince.IsZero():
			add(LevelNotice, FindingNotKept, text+"; some of this month may be missing.")
		default:
			add(LevelNotice, FindingNotKept, text+": of this month, those before "+stamp(v.RetainedSince)+" are missing.")
		}
	}
	for i := range c.logs {
		if absent := c.absent(&c.logs[i]); absent != "" {
			add(LevelNotice, FindingPart, c.theLog(&c.logs[i])+" "+absent+": of the rest of the month it tells nothing. Either the gateway did not run then, or was not used, or this is not all of its log.")
		}
	}
	of(LevelNotice, FindingLater, "Written after the log was verified: %s or acts.")
	for i := range c.logs {
		l := &c.logs[i]
		if failed(l) || !unsigned(l) {
			continue
		}
		the := "the log"
		if c.several() {
			the += " of node " + plain(l.Node)
		}
		add(LevelNotice, FindingUnsigned, "No signed checkpoint covers "+the+". Its chain shows no change, but a chain alone cannot show that the end was cut off, or that the whole log was written anew.")
	}
	of(LevelNotice, FindingTail, "Behind the newest signed checkpoint, so that no signature covers them: %s or acts.")
	if n := c.totals.Reported; n > 0 {
		list = append(list, Finding{FindingReported, LevelNotice, "Allowed, where a rule of the operator would have refused if it were enforced, and only reports: " + calls(n) + ".", n, []string{}})
	}
	return list
}
