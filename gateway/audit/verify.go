package audit

import (
	"errors"
	"fmt"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// VerifyOptions say what a log is compared with besides itself.
type VerifyOptions struct {
	// Trust are the public keys that checkpoints are believed from. Without them no
	// checkpoint is looked at, and nobody can tell where the log ends, nor whether
	// all of it was chained afresh. Keys that those have endorsed are trusted too,
	// and added to it.
	Trust *checkpoint.Trust
	// Checkpoints are checkpoints of this log that were kept elsewhere.
	Checkpoints []Elsewhere
	// Stop, if set, is asked before each segment is looked at. Its error ends the
	// verification, and is the one of Verify.
	Stop func() error
}

// Elsewhere is a signed checkpoint from another place than the log's directory.
type Elsewhere struct {
	Name   string // where it is from, for messages
	Signed []byte
}

// Report is what [Verify] found to be in order.
type Report struct {
	Segments   int    // parts of the log that were read
	First      uint64 // seq of the first record; more than 1 where retention has removed older ones; 0 in an empty log
	Records    uint64 // seq of the last record that is in order
	Head       string // hex SHA-256 of that record's line; 64 zeros in an empty log
	Unfinished int64  // bytes behind the last whole line: being written, or left by a crash

	Checkpoints  int    // that were signed by a trusted key and agree with the log
	Outdated     int    // such that are of a time before First, and could not be compared
	Checkpointed uint64 // records covered by the newest of them; those behind it are only chained
	Newest       []byte // the newest, as it is signed; nil if there is none
	Origin       string // the name of the log in the newest one, which may tell the node
}

// ErrNoCheckpoint: the log has records and no checkpoint of the trusted keys, so
// that nothing proves it.
var ErrNoCheckpoint = errors.New("the audit log has no checkpoint that is signed by a trusted key")

// Verify reads the whole log in dir and checks that every line is a record in
// its canonical spelling, that seq counts without gaps, that each prev is the hash
// of the line before, that no record is later than its segment, and that what is
// missing before the first record was removed on record by retention. With a Trust,
// the tree over the lines must be the one of each checkpoint, those beside the
// segments and those from elsewhere: so records cut off from the end, or all of it
// chained afresh, show too.
//
// It needs no lock and may run while the log is written; what is written
// meanwhile may not be in the Report.
//
// The error is a [*DefectError] for the first line that fails; the Report then
// speaks of what is before it. It is [checkpoint.ErrUnsigned] for a checkpoint that
// no trusted key has signed, and [ErrNoCheckpoint] or [ErrUncovered] where there is
// none, or none for long. Another error is of the file system.
func Verify(dir string, o VerifyOptions) (Report, error) {
	for attempt := 1; ; attempt++ {
		v := verification{dir: dir, signed: o.Trust != nil, stop: o.Stop, report: Report{Head: genesis}}
		err := v.verify(o)
		if err == nil || attempt == maxAttempts || !v.overtaken() {
			return v.report, err
		}
		time.Sleep(time.Duration(attempt) * 50 * time.Millisecond)
	}
}

// maxAttempts bounds how often Verify begins anew because of retention: what is due
// goes at once, and then there is a minute's peace.
const maxAttempts = 6

// ErrUncovered: the log went on for hours without a checkpoint. It could not be signed,
// or checkpoints were removed to hide a change.
var ErrUncovered = errors.New("the audit log went on without checkpoints")

// overtaken tells whether retention has removed the beginning of the log since it was
// listed, or since the checkpoints were read.
func (v *verification) overtaken() bool {
	return v.unproven || len(v.list) > 0 && v.list[0].gone(v.dir)
}

func (v *verification) verify(o VerifyOptions) (err error) {
	// Before the segments, so that no checkpoint is newer than what is read.
	if v.claims, err = readClaims(v.dir, o); err != nil {
		return err
	}
	if v.list, err = segments(v.dir); err != nil {
		return err
	}
	if err := v.run(); err != nil {
		return err
	}
	switch {
	case !v.signed || v.report.Records == 0:
		return nil
	case v.report.Checkpoints == 0:
		return ErrNoCheckpoint
	}
	return v.covered()
}

// covered refuses a log of which a part was closed long ago and has no checkpoint.
func (v *verification) covered() error {
	newest := v.list[len(v.list)-1]
	for _, e := range v.ends {
		if e.size > v.report.Checkpointed && newest.hour.Sub(e.segment.hour) > time.Hour {
			return fmt.Errorf("%w: the newest one covers the records up to %d, and that of %s is missing", ErrUncovered, v.report.Checkpointed, e.segment.name)
		}
	}
	return nil
}

// verification goes through the segments in order, while they are read ahead.
type verification struct {
	dir    string
	list   []segment
	claims []claim // by size
	stop   func() error
	report Report

	tree     *tree        // over the lines so far; nil before the first
	agreed   *tree        // as it was at the newest claim that agreed, or at the first record
	ends     []closedTree // of the segments so far; without root
	removed  []removal
	signed   bool // checkpoints are looked at
	unproven bool // there is a record of the removal that no checkpoint covers
	vague    bool // the defect is at the record it names, or behind it
}

func (v *verification) run() error {
	results := checkSegments(v.dir, v.list, v.claims)
	for i, s := range v.list {
		if v.stop != nil {
			if err := v.stop(); err != nil {
				return err
			}
		}
		v.report.Segments++
		if err := v.add(s, results(i)); err != nil {
			return v.pinpoint(err)
		}
	}
	if v.tree != nil && v.report.First > 1 && !v.removedOnRecord() {
		first := v.list[0]
		return &DefectError{Segment: first.name, Line: 1, Seq: v.report.First,
			Err: fmt.Errorf("records 1 to %d are missing, and no record says that retention removed them", v.report.First-1)}
	}
	if len(v.claims) > 0 { // of more records than there are
		return v.pinpoint(v.cutOff(&v.claims[0]))
	}
	return nil
}

// removedOnRecord tells whether there is a record of the removal of what is missing
// before the first record; where checkpoints are looked at, one that they cover:
// anybody can write one behind the last.
func (v *verification) removedOnRecord() bool {
	for _, r := range v.removed {
		if r.last != v.report.First-1 {
			continue
		}
		if !v.signed || r.seq <= v.report.Checkpointed {
			return true
		}
		v.unproven = true
	}
	return false
}

// add goes on with what was found in the next segment.
func (v *verification) add(s segment, c segmentCheck) error {
	if c.err != nil {
		return c.err
	}
	v.report.Unfinished = c.unfinished
	if c.lines == 0 {
		if v.tree == nil && c.defect != nil { // retention may have removed what was before
			if t, err := s.readTree(v.dir, 0); err == nil {
				v.report.Records = t.before.size
			}
		}
		return c.asError(v.report.Records + 1)
	}
	if v.tree == nil {
		if err := v.begin(s, c); err != nil {
			return err
		}
	}
	switch {
	case c.first != v.report.Records+1:
		return &DefectError{Segment: s.name, Line: 1, Seq: v.report.Records + 1,
			Err: fmt.Errorf("seq is %d where %d must be: records were removed, added or moved", c.first, v.report.Records+1)}
	case c.prev != v.report.Head:
		return &DefectError{Segment: s.name, Line: 1, Seq: c.first,
			Err: fmt.Errorf("prev of record %d is not the hash of the line before: that line, or the order, was changed", c.first)}
	}
	if err := v.compare(c); err != nil {
		return err
	}
	v.tree.join(c.nodes)
	v.removed = append(v.removed, c.removed...)
	v.report.Records, v.report.Head = c.first+c.lines-1, c.head
	v.ends = append(v.ends, closedTree{segment: s, size: v.report.Records})
	return c.asError(v.report.Records + 1)
}

// begin finds the tree that the first record there is belongs to.
func (v *verification) begin(s segment, c segmentCheck) error {
	v.tree = emptyTree()
	if c.first > 1 {
		before, err := s.readTree(v.dir, 0)
		switch {
		case errors.Is(err, errNoTree), err == nil && before.before.size != c.first-1:
			return &DefectError{Segment: s.name, Line: 1, Seq: 1,
				Err: fmt.Errorf("seq is %d where 1 must be: records were removed, added or moved, and %s does not tell the tree over those before", c.first, s.treeName())}
		case err != nil:
			return err
		}
		v.tree = before.before
		v.report.Records, v.report.Head = c.first-1, c.prev
	}
	v.agreed = v.tree.clone()
	v.report.First = c.first
	for len(v.claims) > 0 && v.claims[0].size < v.tree.size {
		v.report.Outdated++
		v.claims = v.claims[1:]
	}
	return v.agree(v.tree)
}

// compare compares the claims about heads of the log in a segment.
func (v *verification) compare(c segmentCheck) error {
	for _, nodes := range c.heads {
		head := v.tree.clone()
		head.join(nodes)
		if err := v.agree(head); err != nil {
			return err
		}
	}
	return nil
}

// agree compares the claims of the size of head with it.
func (v *verification) agree(head *tree) error {
	root := head.root()
	for len(v.claims) > 0 && v.claims[0].size == head.size {
		c := &v.claims[0]
		if c.root != root {
			v.vague = true
			return &DefectError{Segment: v.segmentOf(v.agreed.size + 1).name, Seq: v.agreed.size + 1,
				Err: fmt.Errorf("%s was signed for %d records that were others: one or more from record %d on were changed, and chained afresh", c.name, c.size, v.agreed.size+1)}
		}
		v.claims = v.claims[1:]
		v.agreed = head
		v.report.Checkpoints++
		v.report.Checkpointed, v.report.Newest, v.report.Origin = c.size, c.signed, c.origin
	}
	return nil
}

// cutOff is the defect of a log that is shorter than it was.
func (v *verification) cutOff(c *claim) error {
	d := &DefectError{Seq: v.report.Records + 1,
		Err: fmt.Errorf("the log ends before it, and %s was signed for %d records: those from record %d on were removed", c.name, c.size, v.report.Records+1)}
	if len(v.list) > 0 {
		d.Segment = v.list[len(v.list)-1].name
	}
	return d
}

// segmentOf is the segment that holds the record seq, as the trees beside the
// segments tell, or the first.
func (v *verification) segmentOf(seq uint64) segment {
	var found segment
	for i, s := range v.list {
		if t, err := s.readTree(v.dir, 0); i == 0 || err == nil && t.before.size < seq {
			found = s
		}
	}
	return found
}
