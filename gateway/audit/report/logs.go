package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Log is the log of one of several gateways.
type Log struct {
	Node         string // whose it is
	Verification Verification
	Checkpoint   []byte // the newest signed checkpoint, a C2SP note; empty where there is none

	// First and Last are the times of the oldest and the newest record; zero where
	// there is none.
	First, Last time.Time
}

// idle is how long before the end of the month, or before the report was made, the
// newest record of a log may be without a word about it.
const idle = 24 * time.Hour

func checkLogs(logs []Log) error {
	seen := map[string]bool{}
	for _, l := range logs {
		switch {
		case l.Node == "":
			return fmt.Errorf("one of %d logs has no node", len(logs))
		case seen[l.Node]:
			return fmt.Errorf("the log of node %s is given twice", quoted(l.Node))
		}
		if err := checkCheckpoint(l.Checkpoint); err != nil {
			return fmt.Errorf("node %s: %w", quoted(l.Node), err)
		}
		seen[l.Node] = true
	}
	return nil
}

// logs are those that the report is of; a single one has no node.
func (in *Input) logs() []Log {
	if len(in.Logs) > 0 {
		return in.Logs
	}
	return []Log{{Verification: in.Verification, Checkpoint: in.Checkpoint}}
}

// several tells whether the report is of the logs of more than one gateway, or says
// which one it is of.
func (c *collector) several() bool { return len(c.in.Logs) > 0 }

func (c *collector) log(node string) *Log {
	i := slices.IndexFunc(c.logs, func(l Log) bool { return l.Node == node })
	if i < 0 {
		return nil
	}
	return &c.logs[i]
}

// which are the nodes of the logs of which is is true.
func (c *collector) which(is func(*Log) bool) []string {
	var nodes []string
	for i := range c.logs {
		if is(&c.logs[i]) {
			nodes = append(nodes, plain(c.logs[i].Node))
		}
	}
	return nodes
}

func failed(l *Log) bool   { return !l.Verification.OK }
func unsigned(l *Log) bool { return l.Verification.CheckpointSize == 0 }

// incomplete tells whether retention has taken records of the month.
func (c *collector) incomplete(l *Log) bool {
	v := &l.Verification
	return v.RetainedFrom > 1 && (v.RetainedSince.IsZero() || v.RetainedSince.After(c.in.From))
}

// allGone tells whether retention has taken all records of the month.
func (c *collector) allGone(l *Log) bool {
	v := &l.Verification
	return v.RetainedFrom > 1 && !v.RetainedSince.IsZero() && !v.RetainedSince.Before(c.in.Until)
}

// absent says of which part of the month a log has nothing, other than by retention;
// empty where it may be whole. Of a single log nothing is said: it is all there is.
func (c *collector) absent(l *Log) string {
	if !c.several() {
		return ""
	}
	if l.First.IsZero() {
		return "has no record"
	}
	var parts []string
	if l.First.After(c.in.From) && l.Verification.RetainedFrom <= 1 {
		parts = append(parts, "begins on "+stamp(l.First))
	}
	end := c.in.Until
	if c.in.Made.Before(end) {
		end = c.in.Made
	}
	if l.Last.Before(end.Add(-idle)) {
		parts = append(parts, "ends on "+stamp(l.Last))
	}
	return strings.Join(parts, " and ")
}

// theLog names a log at the beginning of a sentence.
func (c *collector) theLog(l *Log) string {
	if !c.several() {
		return "The log"
	}
	return "The log of node " + plain(l.Node)
}

// overall is what the verification of all logs found, as far as that can be said in one.
func (c *collector) overall() Verification {
	if !c.several() {
		return c.in.Verification
	}
	all := Verification{OK: true}
	for i := range c.logs {
		v := &c.logs[i].Verification
		all.Records += v.Records
		all.Segments += v.Segments
		all.UnsignedTail += v.UnsignedTail
		if !v.OK && all.OK {
			all.OK, all.Failure = false, "node "+c.logs[i].Node+": "+v.Failure
		}
	}
	return all
}

func (c *collector) listLogs() []VerifiedLog {
	var list []VerifiedLog
	for i := range c.in.Logs {
		l := &c.in.Logs[i]
		list = append(list, VerifiedLog{plain(l.Node), verified(&l.Verification), string(l.Checkpoint), optional(l.First), optional(l.Last)})
	}
	return list
}
