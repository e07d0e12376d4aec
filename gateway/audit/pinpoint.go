package audit

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"jiragate/gateway/audit/checkpoint"
)

// pinpoint names the very line that was changed, where that can be known. A chain
// tells that a line or the next was changed, a checkpoint that one of many was; but
// the trees beside the segments hold the hash of each line, and where they are those
// that a checkpoint was signed for, they tell which line is not what it was.
func (v *verification) pinpoint(found error) error {
	d, ok := errors.AsType[*DefectError](found)
	if !ok || v.agreed == nil || len(v.claims) == 0 {
		return found
	}
	claimed := &v.claims[0] // the oldest that does not agree, or was not reached
	leaves := v.provenLeaves(claimed)
	if leaves == nil {
		return found
	}
	exact := v.firstChanged(leaves, claimed.name)
	if exact == nil || !v.vague && exact.Seq > d.Seq {
		return found
	}
	v.report.Records = exact.Seq - 1
	return exact
}

// provenLeaves are the leaves behind the newest agreement that the claim was signed
// for, nil if they are not to be had.
func (v *verification) provenLeaves(c *claim) []hash {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return nil
	}
	var files []segment // also of segments that are gone
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), treeSuffix)
		if !ok {
			continue
		}
		if s, ok := parseSegment(stem + segmentSuffix); ok {
			files = append(files, s)
		}
	}
	slices.SortFunc(files, segment.compare)
	head := v.agreed.clone()
	var leaves []hash
	for _, s := range files {
		t, err := s.readTree(v.dir, c.size)
		if err != nil || t.before.size > head.size {
			continue
		}
		for i := head.size - t.before.size; i < uint64(len(t.leaves)) && head.size < c.size; i++ {
			head.append(t.leaves[i])
			leaves = append(leaves, t.leaves[i])
		}
	}
	if head.size != c.size || head.root() != c.root {
		return nil
	}
	return leaves
}

// firstChanged finds the first line behind the newest agreement that does not have
// the hash it must have; nil if all have.
func (v *verification) firstChanged(leaves []hash, name string) *DefectError {
	seq := v.agreed.size + 1 // of the first leaf
	at := v.report.First     // of the line
	d := &DefectError{}
	for _, s := range v.list {
		d.Segment, d.Line = s.name, 0
		for l, err := range s.lines(v.dir) {
			if err != nil {
				return nil
			}
			d.Line = l.number
			if at >= seq {
				if len(leaves) == 0 {
					return nil
				}
				if !l.whole || checkpoint.Leaf(l.text) != leaves[0] {
					d.Seq = at
					d.Err = fmt.Errorf("this is not record %d as %s was signed for it: it was changed, removed, or another put before it", at, name)
					return d
				}
				leaves = leaves[1:]
			}
			at++
		}
	}
	if len(leaves) == 0 {
		return nil
	}
	d.Line++
	d.Seq = at
	d.Err = fmt.Errorf("the log ends before it, and %s was signed for a log with %d more: they were removed", name, len(leaves))
	return d
}
