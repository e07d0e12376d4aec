package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jiragate/gateway/audit/checkpoint"
)

// findTree makes the tree of the log as findEnd has found it, and refuses to go on
// with a log that its newest checkpoint was not signed for: who signs a head of it
// would vouch for what somebody has changed.
func (l *Log) findTree() error {
	list, err := segments(l.options.Dir)
	if err != nil {
		return err
	}
	before, leaves := emptyTree(), []hash(nil)
	newest := slices.Index(list, l.chain.segment)
	if newest >= 0 {
		if before, err = treeBefore(l.options.Dir, list[:newest+1]); err == nil {
			leaves, err = list[newest].leaves(l.options.Dir)
		}
		if errors.Is(err, errNoTree) {
			l.options.Logger.Error("audit log: the records before the first segment are gone, and with them what the tree over the log is made of: there are no checkpoints until they are back, or a new log is begun in an empty directory", "first", list[0].name,
				"hint", "bring the segments back from a backup, or move the directory away and begin a new log")
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := l.compareCheckpoint(list[:newest+1], before, leaves); err != nil {
		return err
	}
	if l.chain.seq > maxRecords {
		return fmt.Errorf("%w: the last record has the seq %d", ErrDamaged, l.chain.seq)
	}
	if lines := before.size + uint64(len(leaves)); lines != l.chain.seq {
		l.options.Logger.Error("audit log: the last record does not have the number of its line: records were removed or added, and there are no checkpoints: find the place with jiragate audit verify", "seq", l.chain.seq, "lines", lines,
			"hint", "find the place with jiragate audit verify; keep the directory as evidence")
		return nil
	}
	l.attester.begin(l.chain.segment, before, leaves)
	return nil
}

// treeBefore is the tree over all lines before the last of the segments.
func treeBefore(dir string, list []segment) (*tree, error) {
	last := len(list) - 1
	t, from := emptyTree(), last
	for ; ; from-- {
		file, err := list[from].readTree(dir, 0)
		if err == nil {
			// One of a time before a loss of power can be left, where the segment was
			// removed and begun again.
			first, err := list[from].firstSeq(dir)
			if err != nil {
				return nil, err
			}
			if first == 0 || first-1 == file.before.size {
				t = file.before
				break
			}
		} else if !errors.Is(err, errNoTree) {
			return nil, err
		}
		if from > 0 {
			continue
		}
		if seq, err := list[0].firstSeq(dir); err != nil || seq != 1 {
			return nil, errors.Join(errNoTree, err)
		}
		break
	}
	for _, s := range list[from:last] {
		leaves, err := s.leaves(dir)
		if err != nil {
			return nil, err
		}
		t.append(leaves...)
	}
	return t, nil
}

// leaves are the hashes of the lines of s, whatever is in them.
func (s segment) leaves(dir string) ([]hash, error) {
	var list []hash
	room := make([]byte, 1, 4<<10)
	for l, err := range s.lines(dir) {
		if err != nil {
			return nil, err
		}
		if !l.whole {
			break
		}
		room = append(room[:1], l.text...)
		list = append(list, leafHash(room))
	}
	return list, nil
}

// firstSeq is the seq of the first record of s, 0 if there is none.
func (s segment) firstSeq(dir string) (uint64, error) {
	for l, err := range s.lines(dir) {
		if err != nil {
			return 0, err
		}
		r, err := l.record()
		if err != nil {
			return 0, nil
		}
		return r.Seq, nil
	}
	return 0, nil
}

// compareCheckpoint compares the log, which ends with the given leaves, with its
// newest checkpoint.
func (l *Log) compareCheckpoint(list []segment, before *tree, leaves []hash) error {
	if l.options.Signer == nil {
		return nil
	}
	trust, err := checkpoint.NewTrust(l.options.Signer.Verifiers()...)
	if err != nil {
		return err
	}
	name, c, err := newestCheckpoint(l.options.Dir, trust)
	if err != nil || name == "" {
		return err
	}
	const what = "keep the directory as it is, for evidence, and begin a new log by moving it away; or bring the records back"
	total := before.size + uint64(len(leaves))
	switch {
	case c.Size > total:
		return fmt.Errorf("%w: %s was signed for %d records, and there are %d: the last ones were removed: %s", ErrContradicted, name, c.Size, total, what)
	}
	agrees := false
	if c.Size < before.size {
		if agrees, err = agreesBefore(l.options.Dir, list, before, c); err != nil {
			return err
		}
	} else {
		t := before.clone()
		t.append(leaves[:c.Size-before.size]...)
		agrees = t.root() == c.Root
	}
	if !agrees {
		return fmt.Errorf("%w: %s was signed for %d records, of which some were changed: jiragate audit verify tells which: %s", ErrContradicted, name, c.Size, what)
	}
	return nil
}

// agreesBefore tells whether c, which was signed for less than what is before the last
// of the segments, is of the same log: of the lines up to it, and those from it to
// before. It is true where retention has removed what c was signed for.
func agreesBefore(dir string, list []segment, before *tree, c checkpoint.Checkpoint) (bool, error) {
	last := len(list) - 1
	from := last
	for ; from > 0; from-- {
		first, err := list[from].firstSeq(dir)
		if err != nil {
			return false, err
		}
		if first > 0 && first <= c.Size {
			break
		}
	}
	t, err := treeBefore(dir, list[:from+1])
	if err != nil {
		return false, err
	}
	if t.size > c.Size {
		return true, nil
	}
	agrees := t.size == c.Size && t.root() == c.Root
	for _, s := range list[from:last] {
		leaves, err := s.leaves(dir)
		if err != nil {
			return false, err
		}
		for _, leaf := range leaves {
			t.append(leaf)
			agrees = agrees || t.size == c.Size && t.root() == c.Root
		}
	}
	return agrees && t.size == before.size && t.root() == before.root(), nil
}

// newestCheckpoint is the one beside the segments that covers most; name is empty if
// there is none.
func newestCheckpoint(dir string, trust *checkpoint.Trust) (name string, newest checkpoint.Checkpoint, err error) {
	names, err := checkpointNames(dir)
	if err != nil {
		return "", newest, err
	}
	for _, n := range names {
		signed, err := readSmall(filepath.Join(dir, n))
		if err != nil {
			return "", newest, err
		}
		c, err := trust.Open(signed)
		if err != nil {
			return "", newest, fmt.Errorf("%w: %s is not a checkpoint signed by this gateway's audit key: bring the key back, or keep the file elsewhere if the key is lost: %w", ErrContradicted, n, err)
		}
		if name == "" || c.Size >= newest.Size {
			name, newest = n, c
		}
	}
	return name, newest, nil
}

// checkpointNames lists the checkpoints beside the segments, in their order.
func checkpointNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	var list []segment
	for _, e := range entries {
		if stem, ok := strings.CutSuffix(e.Name(), checkpointSuffix); ok {
			if s, ok := parseSegment(stem + segmentSuffix); ok {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, segment.compare)
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.checkpointName()
	}
	return names, nil
}
