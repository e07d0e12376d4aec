package audit

import "fmt"

// Report is what [Verify] found to be in order.
type Report struct {
	Segments   int    // files read
	Records    uint64 // records in an unbroken chain from the first; also the Seq of the last
	Head       string // hex SHA-256 of the last record's line; 64 zeros in an empty log
	Unfinished int64  // bytes behind the last whole line: being written, or left by a crash
}

// Verify reads the whole log in dir and checks that every line is a record in
// its canonical spelling, that seq counts without gaps from 1, that each prev
// is the hash of the line before, and that no record is later than its segment.
// It needs no lock and may run while the log is written; what is written
// meanwhile may not be in the Report.
//
// The error is a [*DefectError] for the first line that fails; the Report then
// speaks of what is before it. Another error is of the file system.
//
// Nothing in the directory can prove where the log ends: see the package
// comment.
func Verify(dir string) (Report, error) {
	report := Report{Head: genesis}
	list, err := segments(dir)
	if err != nil {
		return report, err
	}
	for i, s := range list {
		report.Segments++
		for l, err := range s.lines(dir) {
			if err != nil {
				return report, err
			}
			if !l.whole && i == len(list)-1 {
				report.Unfinished = l.size
				break
			}
			if err := report.add(l); err != nil {
				return report, l.defect(err)
			}
		}
	}
	return report, nil
}

// add checks that l is the next line of the log.
func (p *Report) add(l line) error {
	r, err := l.record()
	switch {
	case err != nil:
		return err
	case r.Seq != p.Records+1:
		return fmt.Errorf("seq is %d where %d must be: records were removed, added or moved", r.Seq, p.Records+1)
	case r.Prev != p.Head:
		return fmt.Errorf("prev of record %d is not the hash of the line before: that line, or the order, was changed", r.Seq)
	case !r.Time.Before(l.segment.end()):
		return fmt.Errorf("record %d is of %s, later than its segment", r.Seq, r.Time.Format(timeLayout))
	}
	p.Records, p.Head = r.Seq, hashLine(l.text)
	return nil
}
