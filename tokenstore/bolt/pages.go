package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"io"
	"slices"
)

// checkPages reads the tree of pages of a bbolt file, before bbolt does. bbolt
// trusts its file: a damaged one makes it panic, follow a circle of pages until
// the stack is full, touch memory beyond the end of the file, or overwrite pages
// that are in use, and not all of this can be recovered from. After checkPages
// every page lies in the file, is of the right kind, is used exactly once or is
// free, and every element lies in its page, in the order in which bbolt searches.
//
// The format is bbolt's (internal/common of go.etcd.io/bbolt v1.5.0, format
// version 2): pages in the byte order of the machine, the first two of them meta
// pages. Errors match tokenstore.ErrCorrupt. No more memory is used than the file
// is long.
func checkPages(r io.ReaderAt, size int64) error {
	w := pageWalk{r: r, size: size}
	metas, err := w.metas()
	if err != nil {
		return err
	}
	_, err = w.pagesOf(metas[0])
	return err
}

const (
	pageHeader    = 16
	elementHeader = 16
	bucketHeader  = 16
	metaLength    = 64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	flagBucket = 0x01 // of a leaf element

	boltMagic   = 0xED0CDAED
	boltVersion = 2

	noFreelist = ^uint64(0)
	longList   = 0xFFFF // count of a free list whose first element is its length

	minPageSize = 1 << 10
	maxPageSize = 1 << 24
)

type pageWalk struct {
	r    io.ReaderAt
	size int64

	pageSize int64
	root     uint64
	freelist uint64
	end      uint64 // the first page number that is not in use
	seen     []bool // by page number
	todo     []pageRef
	page     []byte // what read returned last
	walked   walked
}

// walked is the tree that was walked last, and which pages are its own.
type walked struct {
	root, end uint64
	seen      []bool
}

// pageRef leads to a page whose keys are at least from and, unless it is nil,
// below to.
type pageRef struct {
	id       uint64
	from, to []byte
}

// metas returns the valid ones of the two meta pages, first the younger, which is
// the one that bbolt will use. The other may be damaged: that is what a crash
// while writing it leaves.
func (w *pageWalk) metas() ([][]byte, error) {
	for size := int64(minPageSize); size <= maxPageSize; size <<= 1 {
		var found [][]byte
		for _, offset := range []int64{0, size} {
			if m := w.validMeta(offset, size); m != nil {
				found = append(found, m)
			}
		}
		if len(found) > 0 {
			w.pageSize = size
			slices.SortStableFunc(found, func(a, b []byte) int { return cmp.Compare(txid(b), txid(a)) })
			return found, nil
		}
	}
	return nil, corruptf("it is not a bbolt file, or both of its meta pages are damaged")
}

// pagesOf checks all that a meta page leads to, and returns which pages are in use,
// by number. The others are free.
func (w *pageWalk) pagesOf(meta []byte) (used []bool, err error) {
	w.root = binary.NativeEndian.Uint64(meta[16:])
	w.freelist = binary.NativeEndian.Uint64(meta[32:])
	w.end = binary.NativeEndian.Uint64(meta[40:])
	if w.end < 3 || w.end > uint64(w.size/w.pageSize) {
		return nil, corruptf("the file is cut short: it has %d bytes of %d pages of %d", w.size, w.end, w.pageSize)
	}
	if err := w.tree(); err != nil {
		return nil, err
	}
	free, err := w.readFreelist()
	if err != nil {
		return nil, err
	}
	used = slices.Clone(w.seen)
	for _, id := range free {
		if id >= w.end || w.seen[id] {
			return nil, corruptf("page %d is on the list of free pages, but is in use or listed twice", id)
		}
		w.seen[id] = true
	}
	if i := slices.Index(w.seen, false); i >= 0 {
		return nil, corruptf("page %d is neither in use nor free", i)
	}
	return used, nil
}

func txid(meta []byte) uint64 { return binary.NativeEndian.Uint64(meta[48:]) }

// validMeta returns the meta data in the page at offset, or nil.
func (w *pageWalk) validMeta(offset, pageSize int64) []byte {
	m := make([]byte, metaLength)
	if _, err := w.r.ReadAt(m, offset+pageHeader); err != nil {
		return nil
	}
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56]) // a hash never fails
	if binary.NativeEndian.Uint32(m) != boltMagic ||
		binary.NativeEndian.Uint32(m[4:]) != boltVersion ||
		int64(binary.NativeEndian.Uint32(m[8:])) != pageSize ||
		binary.NativeEndian.Uint64(m[56:]) != sum.Sum64() {
		return nil
	}
	return m
}

// tree marks the pages of the tree as seen. Both meta pages lead to one tree after a
// commit that has changed nothing, and then it is walked once.
func (w *pageWalk) tree() error {
	if w.walked.seen != nil && w.walked.root == w.root && w.walked.end == w.end {
		w.seen = slices.Clone(w.walked.seen)
		return nil
	}
	w.seen = make([]bool, w.end)
	w.seen[0], w.seen[1] = true, true
	if err := w.walk(); err != nil {
		return err
	}
	w.walked = walked{w.root, w.end, slices.Clone(w.seen)}
	return nil
}

// walk visits every page of every bucket.
func (w *pageWalk) walk() error {
	w.todo = append(w.todo, pageRef{id: w.root})
	for len(w.todo) > 0 {
		ref := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		page, err := w.read(ref.id)
		if err != nil {
			return err
		}
		if err := w.elements(ref, page); err != nil {
			return err
		}
	}
	return nil
}

// read returns a page with its overflow, which is good until the next is read, and marks
// it as seen.
func (w *pageWalk) read(id uint64) ([]byte, error) {
	if id >= w.end {
		return nil, corruptf("page %d lies beyond the end", id)
	}
	w.page = slices.Grow(w.page[:0], int(w.pageSize))[:w.pageSize]
	if _, err := w.r.ReadAt(w.page, int64(id)*w.pageSize); err != nil {
		return nil, corruptf("page %d can't be read: %v", id, err)
	}
	if got := binary.NativeEndian.Uint64(w.page); got != id {
		return nil, corruptf("page %d says that it is page %d", id, got)
	}
	n := uint64(binary.NativeEndian.Uint32(w.page[12:])) + 1
	if n > w.end-id {
		return nil, corruptf("page %d overflows the end", id)
	}
	for i := id; i < id+n; i++ {
		if w.seen[i] {
			return nil, corruptf("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	if n > 1 {
		more := int(n-1) * int(w.pageSize)
		w.page = slices.Grow(w.page, more)[:int(w.pageSize)+more]
		if _, err := w.r.ReadAt(w.page[w.pageSize:], int64(id+1)*w.pageSize); err != nil {
			return nil, corruptf("page %d can't be read: %v", id, err)
		}
	}
	return w.page, nil
}

// elements checks a branch or leaf page, and remembers the pages it leads to.
func (w *pageWalk) elements(ref pageRef, page []byte) error {
	flags := binary.NativeEndian.Uint16(page[8:])
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if flags != flagBranch && flags != flagLeaf {
		return corruptf("page %d is neither a branch nor a leaf", ref.id)
	}
	if flags == flagBranch && count == 0 {
		return corruptf("branch page %d is empty", ref.id)
	}
	if flags == flagBranch {
		page = bytes.Clone(page) // whose keys are kept
	}
	if pageHeader+count*elementHeader > len(page) {
		return corruptf("page %d has more elements than space", ref.id)
	}
	var previous []byte
	for i := range count {
		read := w.leafElement
		if flags == flagBranch {
			read = w.branchElement
		}
		key, err := read(ref, page, pageHeader+i*elementHeader)
		if err != nil {
			return err
		}
		if i == 0 && bytes.Compare(key, ref.from) < 0 || i > 0 && bytes.Compare(key, previous) <= 0 ||
			ref.to != nil && bytes.Compare(key, ref.to) >= 0 {
			return corruptf("the keys of page %d are not in order", ref.id)
		}
		if i > 0 && flags == flagBranch {
			w.todo[len(w.todo)-2].to = key
		}
		previous = key
	}
	return nil
}

// branchElement returns the key of the element at that offset of a branch page,
// below which no key is in the page that it leads to.
func (w *pageWalk) branchElement(ref pageRef, page []byte, at int) (key []byte, err error) {
	e := page[at : at+elementHeader]
	key, ok := slice(page, at, e, binary.NativeEndian.Uint32(e[4:]))
	if !ok {
		return nil, corruptf("an element of page %d lies outside of it", ref.id)
	}
	w.todo = append(w.todo, pageRef{id: binary.NativeEndian.Uint64(e[8:]), from: key, to: ref.to})
	return key, nil
}

// leafElement returns the key of the element at that offset of a leaf page.
func (w *pageWalk) leafElement(ref pageRef, page []byte, at int) (key []byte, err error) {
	e := page[at : at+elementHeader]
	keyLength, valueLength := binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
	both, ok := slice(page, at, e[4:], keyLength+valueLength)
	if !ok || keyLength == 0 || keyLength+valueLength < keyLength {
		return nil, corruptf("an element of page %d lies outside of it", ref.id)
	}
	switch binary.NativeEndian.Uint32(e) {
	case 0:
	case flagBucket:
		if err := w.bucket(ref.id, both[keyLength:]); err != nil {
			return nil, err
		}
	default:
		return nil, corruptf("an element of page %d is of an unknown kind", ref.id)
	}
	return both[:keyLength], nil
}

// slice returns length bytes at the position that is encoded in pos, counted
// from the element at that offset.
func slice(page []byte, element int, pos []byte, length uint32) ([]byte, bool) {
	from := int64(element) + int64(binary.NativeEndian.Uint32(pos))
	if from+int64(length) > int64(len(page)) {
		return nil, false
	}
	return page[from : from+int64(length)], true
}

// bucket checks the value of a bucket: the number of its root page, or 0 and
// the page itself, which then is a leaf without buckets of its own.
func (w *pageWalk) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return corruptf("a bucket in page %d is cut short", id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		w.todo = append(w.todo, pageRef{id: root})
		return nil
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != flagLeaf {
		return corruptf("a bucket in page %d is damaged", id)
	}
	before := len(w.todo)
	if err := w.elements(pageRef{id: id}, inline); err != nil {
		return err
	}
	if len(w.todo) > before {
		return corruptf("a bucket in page %d holds another one", id)
	}
	return nil
}

// readFreelist returns the list of free pages. Whatever stands there bbolt will
// overwrite.
func (w *pageWalk) readFreelist() ([]uint64, error) {
	if w.freelist == noFreelist {
		return nil, corruptf("the list of free pages is missing")
	}
	page, err := w.read(w.freelist)
	if err != nil {
		return nil, err
	}
	if binary.NativeEndian.Uint16(page[8:]) != flagFreelist {
		return nil, corruptf("page %d is not the list of free pages", w.freelist)
	}
	count, list := uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHeader:]
	if count == longList {
		count, list = binary.NativeEndian.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return nil, corruptf("the list of free pages is longer than its page")
	}
	free := make([]uint64, count)
	for i := range free {
		free[i] = binary.NativeEndian.Uint64(list[i*8:])
	}
	return free, nil
}
