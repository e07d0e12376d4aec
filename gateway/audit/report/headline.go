package report

import (
	"fmt"
	"strings"
	"time"
)

// headline says in plain words what the month was like. Each sentence follows from
// the counts and findings: what is not known is said to be not known.
func (c *collector) headline(r *Report) []string {
	t := &c.totals
	found := func(code string) uint64 {
		if f := c.findings[code]; f != nil {
			return f.n
		}
		return 0
	}
	var say []string
	add := func(format string, args ...any) { say = append(say, fmt.Sprintf(format, args...)) }

	bad := c.which(failed)
	switch {
	case !c.several() && len(bad) > 0:
		add("The log from which this is made failed its verification, so nothing below is proven.")
	case c.several():
		add("This is made from the logs of %s: %s.", many(uint64(len(c.logs)), "gateway"), strings.Join(c.which(func(*Log) bool { return true }), ", "))
		switch len(bad) {
		case 0:
		case 1:
			add("Of these, the log of %s failed its verification, so nothing below is proven.", bad[0])
		default:
			add("Of these, the logs of %s failed their verification, so nothing below is proven.", strings.Join(bad, ", "))
		}
	}
	for _, n := range c.in.Absent {
		if !n.Retired || !n.Published.Before(c.in.From) {
			add("The log of %s is missing: what went through that gateway is not in this.", plain(n.Node))
		}
	}
	if !r.Complete {
		add("The month was not over when this was made, on %s.", c.in.Made.UTC().Format("2 January 2006 at 15:04 UTC"))
	}
	gone, part := c.which(c.incomplete), c.which(func(l *Log) bool { return c.absent(l) != "" })
	if len(gone) > 0 {
		add("Older records %swere deleted when their time of retention was over: what is said here is of the records that are left.", c.ofNodes(gone))
	}
	switch len(part) {
	case 0:
	case 1:
		add("The log of %s does not reach over the whole time: see the findings.", part[0])
	default:
		add("The logs of %s do not reach over the whole time: see the findings.", strings.Join(part, ", "))
	}
	month := c.in.From.UTC().Format("January 2006")
	if len(c.which(c.allGone)) == len(c.logs) && t.Calls == 0 {
		return append(say, fmt.Sprintf("Nothing can be said about %s: its records are gone.", month))
	}
	if t.Calls == 0 {
		add("In %s, no call for the connection %s went on record.", month, c.in.Connection)
	} else {
		add("In %s, %s for the connection %s went on record: %s allowed, %s refused.", month, calls(t.Calls), c.in.Connection, grouped(t.Allowed), grouped(t.Refused))
	}
	if t.Damaged > 0 {
		add("There may have been more: %s of the log cannot be read.", many(t.Damaged, "line"))
	}
	if t.Allowed > 0 {
		undocumented := found(FindingNotDocumented) + found(FindingSwitchedOff) + found(FindingElsewhere) + found(FindingNoPolicy)
		missing := found(FindingPolicyMissing)
		switch {
		case undocumented > 0:
			add("Not all calls that were allowed were to documented operations: %s not.", are(undocumented, "call"))
		case missing == 0:
			add("All calls that were allowed were to documented operations.")
		}
		if missing > 0 {
			add("For %s it is not known whether the operation was documented.", calls(missing))
		}
	}
	if refusedLeft := found(FindingRefusedLeft); t.Refused > 0 && refusedLeft > 0 {
		add("Not all refused calls were held back: %s on record as having left.", are(refusedLeft, "call"))
	} else if t.Refused > 0 {
		add("Refused calls were not sent to Jira.")
	}
	if t.Left > 0 || found(FindingRefusedLeft) > 0 {
		switch bad := found(FindingUnpublished) + found(FindingUnpinned); bad {
		case 0:
			add("All calls that left came from published addresses.")
		default:
			add("Not all calls that left came from published addresses: %s not.", did(bad))
		}
	}
	if t.Unknown > 0 {
		add("For %s it is not known whether Jira carried out what was asked.", calls(t.Unknown))
	}
	if len(bad) == 0 {
		add("%s", c.verified())
	}
	return say
}

// ofNodes is empty for a single log.
func (c *collector) ofNodes(nodes []string) string {
	if !c.several() {
		return ""
	}
	return "of " + strings.Join(nodes, ", ") + " "
}

// verified is what the verification shows, where it succeeded.
func (c *collector) verified() string {
	v := c.overall()
	s, checkpoint := fmt.Sprintf("The log of %s was verified and is unbroken", many(v.Records, "record")), "a signed checkpoint covers "
	if c.several() {
		s, checkpoint = fmt.Sprintf("The logs, of %s together, were verified, each by itself, and are unbroken", many(v.Records, "record")), "signed checkpoints cover "
	}
	month := "all records of this month"
	if len(c.which(c.incomplete)) > 0 {
		month = "all records of this month that are left"
	}
	bare := c.which(unsigned)
	switch tail := c.findings[FindingTail]; {
	case len(bare) > 0 && c.several():
		s += "; that of " + strings.Join(bare, ", ") + " by its own chain alone: no signed checkpoint covers it"
	case len(bare) > 0:
		s += ", by its own chain alone: no signed checkpoint covers it"
	case tail != nil:
		s += "; " + checkpoint + month + " but the last " + grouped(tail.n)
	default:
		s += "; " + checkpoint + month
	}
	return s + "."
}

func are(n uint64, one string) string {
	if n == 1 {
		return "1 " + one + " is"
	}
	return grouped(n) + " " + one + "s are"
}

func did(n uint64) string {
	if n == 1 {
		return "1 did"
	}
	return grouped(n) + " did"
}

// limits says what no report of this kind can show.
func (c *collector) limits() []string {
	list := []string{
		"It shows what the gateway has recorded. A call to Jira that did not go through the gateway is not in it; your Jira's own logs and your firewall can show those.",
		"Calls refused before it was known which connection they were for, such as those of an unidentified caller, carry no connection and are not in it. Nothing of them was sent to Jira.",
		"Acts of administration that name no connection are not listed: changes of keys, and clients that were added or removed, with the connections that they were given at once. Grants to a client that was there, and what changed of the policy and of the addresses, are in their sections.",
		"Bodies, values of query parameters and credentials are not recorded, so it cannot show what was in a call, or the values of its parameters.",
		"The counts were made from the log by the operator's program. The signature shows that the document is the one the operator's gateway has signed, and not that the counts are right: for that, ask for the records, which the checkpoint covers, and count again.",
		"A signed checkpoint shows that records were not changed after it was signed. That a record was true when it was written, no signature can show.",
		"Whether an address was published is by the operator's register of published addresses; your copies of what was published are the better witness.",
		"Of a call that was allowed, the record shows the parts of the path that are documented and the names of query parameters; that the operation does what it is documented for is up to Jira.",
	}
	if c.several() {
		list = append(list, "It is of the logs that are named, one for each gateway. A call that went through a gateway whose log is not among them is not in it. Times are by the clock of each gateway.")
	}
	if len(c.which(unsigned)) > 0 {
		list = append(list, "Without a signed checkpoint, it cannot show that no record was cut off from the end of the log, and not that the log was not replaced as a whole.")
	}
	return list
}

// cover is the report's frame.
func (c *collector) cover() *Report {
	in := c.in
	return &Report{
		Format: FormatName, Connection: in.Connection, Edition: plain(in.Edition), Region: plain(in.Region),
		Month: in.From.UTC().Format(monthLayout), From: in.From.UTC(), Until: in.Until.UTC(),
		Made: in.Made.UTC().Truncate(time.Second), Complete: !in.Made.Before(in.Until), Version: plain(in.Version),
		Checkpoint: string(in.Checkpoint), Keys: plainAll(in.Keys), Limits: c.limits(),
	}
}
