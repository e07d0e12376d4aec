package audit

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// hash is one of RFC 6962: SHA-256.
type hash = [sha256.Size]byte

// tree is the right border of the Merkle tree over the lines of the log, from the
// first line to the last (RFC 6962 section 2.1).
type tree struct {
	size  uint64
	nodes *compact.Range
}

// ranges makes the borders of trees. They can only be joined if they are of one
// factory.
var ranges = &compact.RangeFactory{Hash: hashChildren}

// hashChildren is that of rfc6962.DefaultHasher, in half of the time.
func hashChildren(left, right []byte) []byte {
	room := [1 + 2*sha256.Size]byte{rfc6962.RFC6962NodeHashPrefix}
	copy(room[1:], left)
	copy(room[1+sha256.Size:], right)
	sum := sha256.Sum256(room[:])
	return sum[:]
}

// newTree is a tree of size leaves, of which nodes are the roots of the maximal
// perfect subtrees, from left to right.
func newTree(size uint64, nodes []hash) (*tree, error) {
	list := make([][]byte, len(nodes))
	for i := range nodes {
		list[i] = nodes[i][:]
	}
	r, err := ranges.NewRange(0, size, list)
	if err != nil {
		return nil, err
	}
	return &tree{size, r}, nil
}

func emptyTree() *tree { return &tree{0, ranges.NewEmptyRange(0)} }

// leafHash is that of a line without its newline; room[0] is in front of the line,
// so that nothing is copied.
func leafHash(room []byte) hash {
	room[0] = rfc6962.RFC6962LeafHashPrefix
	return sha256.Sum256(room)
}

// append adds leaves.
func (t *tree) append(leaves ...hash) {
	for i := range leaves {
		// It fails for a hash of a wrong length only.
		if err := t.nodes.Append(leaves[i][:], nil); err != nil {
			panic("audit: " + err.Error())
		}
		t.size++
	}
}

// join adds the leaves of r, which begins where t ends.
func (t *tree) join(r *compact.Range) {
	if err := t.nodes.AppendRange(r, nil); err != nil {
		panic("audit: " + err.Error())
	}
	t.size = r.End()
}

// root is the head of the tree.
func (t *tree) root() hash {
	if t.size == 0 {
		return hash(rfc6962.DefaultHasher.EmptyRoot())
	}
	root, err := t.nodes.GetRootHash(nil)
	if err != nil {
		panic("audit: " + err.Error()) // it begins at 0
	}
	return hash(root)
}

func (t *tree) equals(other *tree) bool { return t.size == other.size && t.root() == other.root() }

// border are the nodes that the tree can be made of again.
func (t *tree) border() []hash {
	list := t.nodes.Hashes()
	nodes := make([]hash, len(list))
	for i := range list {
		nodes[i] = hash(list[i])
	}
	return nodes
}

func (t *tree) clone() *tree {
	c, err := newTree(t.size, t.border())
	if err != nil {
		panic("audit: " + err.Error()) // it has the nodes of a tree of that size
	}
	return c
}

// treeMagic begins the file beside a segment that keeps the tree: how it was before
// the segment, and the hashes of the segment's leaves. All of it follows from the
// log. It is there so that nobody has to read the whole log to go on with the tree
// or to prove something; that what was before can be removed; and so that the very
// line can be named that was changed.
//
//	"jiragate tree 1\n"
//	size of the tree before the segment, 8 bytes, big endian
//	the roots of its maximal perfect subtrees, from left to right, 32 bytes each
//	the leaves of the segment, 32 bytes each
const treeMagic = "jiragate tree 1\n"

// treeFile is such a file, read.
type treeFile struct {
	before *tree
	leaves []hash
}

func treeHeader(before *tree) []byte {
	b := binary.BigEndian.AppendUint64([]byte(treeMagic), before.size)
	for _, node := range before.border() {
		b = append(b, node[:]...)
	}
	return b
}

func treeHeaderSize(size uint64) int64 {
	return int64(len(treeMagic)) + 8 + int64(bits.OnesCount64(size))*sha256.Size
}

// errNoTree says that a segment has no such file, or none that can be read.
var errNoTree = errors.New("the tree beside the segment is missing or damaged")

// readTree reads the file of s, with its leaves up to the upTo-th of the log: a forged
// file can be of any size. The error is errNoTree or of the file system.
func (s segment) readTree(dir string, upTo uint64) (*treeFile, error) {
	f, info, err := openRegular(filepath.Join(dir, s.treeName()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoTree
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 32<<10)
	head := make([]byte, len(treeMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(treeMagic)]) != treeMagic {
		return nil, errNoTree
	}
	size := binary.BigEndian.Uint64(head[len(treeMagic):])
	if size > maxRecords {
		return nil, errNoTree
	}
	nodes, err := readHashes(r, bits.OnesCount64(size))
	if err != nil || len(nodes) < bits.OnesCount64(size) {
		return nil, errNoTree
	}
	t := &treeFile{}
	if t.before, err = newTree(size, nodes); err != nil {
		return nil, errNoTree
	}
	if upTo > size {
		t.leaves, err = readHashes(r, int(min(upTo-size, uint64(max(0, info.Size()-treeHeaderSize(size)))/sha256.Size)))
	}
	return t, err
}

// readHashes reads n hashes, or as many as there are.
func readHashes(r io.Reader, n int) ([]hash, error) {
	var list []hash
	for range n {
		var h hash
		_, err := io.ReadFull(r, h[:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return list, err
		}
		list = append(list, h)
	}
	return list, nil
}

// leafBatch is what is still to be written to the file beside a segment.
type leafBatch struct {
	segment segment
	before  *tree  // as it was before the segment
	from    uint64 // leaves of the segment that are in the file already
	leaves  []hash // the next
}

// write brings the batch to the file. It can be done again. What the file has
// behind it is of a time before a loss of power, and goes.
func (b *leafBatch) write(fsys fileSystem, dir string) error {
	if b.from > 0 && len(b.leaves) == 0 {
		return nil
	}
	f, err := fsys.open(filepath.Join(dir, b.segment.treeName()), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("write the tree beside %s: %w", b.segment.name, err)
	}
	offset := treeHeaderSize(b.before.size) + int64(b.from)*sha256.Size
	text := make([]byte, 0, len(b.leaves)*sha256.Size)
	if b.from == 0 {
		text, offset = treeHeader(b.before), 0
	}
	for i := range b.leaves {
		text = append(text, b.leaves[i][:]...)
	}
	_, err = f.WriteAt(text, offset)
	if err == nil {
		err = f.Truncate(offset + int64(len(text)))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the tree beside %s: %w", b.segment.name, err)
	}
	return nil
}
