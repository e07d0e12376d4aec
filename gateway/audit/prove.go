package audit

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"jiragate/gateway/audit/checkpoint"
)

// Errors of [Prove], for errors.Is.
var (
	// ErrNoRecord: the log does not hold the record, not yet or not any more.
	ErrNoRecord = errors.New("no such record")
	// ErrNotCovered: no checkpoint covers the record yet.
	ErrNotCovered = errors.New("no checkpoint covers the record yet")
)

// Prove makes the proof that record seq stands in the log in dir, by the newest
// checkpoint there that a key in trust has signed. The proof can be checked without
// the log. While the log is written, it takes about a second until a checkpoint
// covers a new record.
//
// The hashes are taken from the trees beside the segments; where those do not fit
// the checkpoint, from the log itself, which is read whole then. The errors are
// [ErrNoRecord], [ErrNotCovered], those of a checkpoint that is not signed, and one
// that says that the log is not the one of its checkpoint: [Verify] tells the place.
func Prove(dir string, seq uint64, trust *checkpoint.Trust) (checkpoint.Proof, error) {
	failed := func(err error) (checkpoint.Proof, error) {
		return checkpoint.Proof{}, fmt.Errorf("prove record %d: %w", seq, err)
	}
	claims, err := readClaims(dir, VerifyOptions{Trust: trust})
	if err != nil {
		return failed(err)
	}
	list, err := segments(dir)
	if err != nil {
		return failed(err)
	}
	line, err := findLine(dir, list, seq)
	if err != nil {
		return failed(err)
	}
	if len(claims) == 0 || claims[len(claims)-1].size < seq {
		return failed(ErrNotCovered)
	}
	c := claims[len(claims)-1]
	for _, leavesOf := range []leafSource{storedLeaves, segmentLeaves} {
		p := checkpoint.Proof{Index: seq - 1, Line: line, Checkpoint: c.signed}
		if p.Hashes, err = inclusion(dir, list, seq-1, c.size, leavesOf); err != nil {
			continue
		}
		if _, err = p.Verify(trust); err == nil {
			return p, nil
		}
	}
	return failed(fmt.Errorf("the log is not the one that %s was signed for; jiragate audit verify tells the place: %w", c.name, err))
}

// leafSource gives the leaves of a segment, at least those up to the upTo-th of the log.
type leafSource func(dir string, s segment, upTo uint64) ([]hash, error)

func storedLeaves(dir string, s segment, upTo uint64) ([]hash, error) {
	t, err := s.readTree(dir, upTo)
	if err != nil {
		return nil, err
	}
	return t.leaves, nil
}

func segmentLeaves(dir string, s segment, _ uint64) ([]hash, error) { return s.leaves(dir) }

// findLine finds the line of record seq. The trees beside the segments tell where; if
// it is not there, all are looked at.
func findLine(dir string, list []segment, seq uint64) ([]byte, error) {
	found := list
	for i := range list {
		next, err := list[i].readTree(dir, 0)
		if err == nil && next.before.size < seq {
			found = list[i : i+1]
		}
	}
	for _, part := range [][]segment{found, list} {
		for _, s := range part {
			for l, err := range s.lines(dir) {
				if err != nil {
					return nil, err
				}
				if r, err := l.record(); err == nil && r.Seq == seq {
					return bytes.Clone(l.text), nil
				}
			}
		}
	}
	return nil, fmt.Errorf("%w: the log in %s does not hold it", ErrNoRecord, dir)
}

// inclusion makes the inclusion proof of the leaf with the index in the tree of the
// given size (RFC 6962 section 2.1.1).
func inclusion(dir string, list []segment, index, size uint64, leavesOf leafSource) ([]hash, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	wanted := make(map[compact.NodeID][]byte, len(nodes.IDs))
	for _, id := range nodes.IDs {
		wanted[id] = nil
	}
	see := func(id compact.NodeID, h []byte) {
		if _, ok := wanted[id]; ok {
			wanted[id] = bytes.Clone(h)
		}
	}
	before, err := treeBefore(dir, list[:1])
	if err != nil {
		return nil, err
	}
	border := before.border()
	for i, id := range compact.RangeNodes(0, before.size, nil) {
		see(id, border[i][:])
	}
	tree := before.nodes
	for _, s := range list {
		if tree.End() == size {
			break
		}
		leaves, err := leavesOf(dir, s, size)
		if err != nil {
			return nil, err
		}
		for i := range leaves {
			if tree.End() == size {
				break
			}
			see(compact.NewNodeID(0, tree.End()), leaves[i][:])
			if err := tree.Append(leaves[i][:], see); err != nil {
				return nil, err
			}
		}
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		if hashes[i] = wanted[id]; hashes[i] == nil {
			return nil, errors.New("the log is shorter than its checkpoint")
		}
	}
	if hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
		return nil, err
	}
	list32 := make([]hash, len(hashes))
	for i := range hashes {
		list32[i] = hash(hashes[i])
	}
	return list32, nil
}
