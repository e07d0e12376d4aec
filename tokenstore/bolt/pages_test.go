package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
)

const testPage = 4096

// tree is a bbolt file with two levels of branch pages, long records and free
// pages, together with what a test needs to damage it at a certain place.
type tree struct {
	file []byte
	meta []byte // of the two, the one in use, within file
}

func newTree(t testing.TB) *tree {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tree.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, PageSize: testPage})
	must(t, err)
	key := func(i int) []byte { return fmt.Appendf(nil, "%0200d", i) }
	must(t, db.Update(func(tx *bbolt.Tx) error {
		large, err := tx.CreateBucket([]byte("large"))
		small, err2 := tx.CreateBucket([]byte("small"))
		if err := errors.Join(err, err2, small.Put([]byte("k"), []byte("v"))); err != nil {
			return err
		}
		for i := range 600 {
			if err := large.Put(key(i), bytes.Repeat([]byte{'v'}, 1+i%3*3000)); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, db.Update(func(tx *bbolt.Tx) error {
		for i := range 100 {
			if err := tx.Bucket([]byte("large")).Delete(key(i * 2)); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, db.Close())
	f := readFile(t, path)
	tr := &tree{file: f, meta: f[16:80]}
	if second := f[testPage+16 : testPage+80]; number(second, 48) > number(tr.meta, 48) {
		tr.meta = second
	}
	return tr
}

func number(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }

// page returns the page of that number without its overflow.
func (tr *tree) page(id uint64) []byte { return tr.file[id*testPage:][:testPage] }

// element returns the header of an element of a page.
func (tr *tree) element(id uint64, i int) []byte { return tr.page(id)[16+16*i:][:16] }

// key returns the key of an element of a branch page.
func (tr *tree) key(id uint64, i int) []byte {
	e := tr.element(id, i)
	at := 16 + 16*i + int(binary.NativeEndian.Uint32(e))
	return tr.page(id)[at:][:binary.NativeEndian.Uint32(e[4:])]
}

// find returns the first page of that kind that is a page of its own.
func (tr *tree) find(t testing.TB, flags uint16, atLeast int) uint64 {
	t.Helper()
	free := tr.free()
	for id := uint64(2); id < uint64(len(tr.file)/testPage); id++ {
		p := tr.page(id)
		if number(p, 0) == id && binary.NativeEndian.Uint16(p[8:]) == flags &&
			int(binary.NativeEndian.Uint16(p[10:])) >= atLeast && !free[id] {
			return id
		}
	}
	t.Fatalf("the tree has no page with flags %#x: the test tests nothing", flags)
	return 0
}

func (tr *tree) free() map[uint64]bool {
	p := tr.page(number(tr.meta, 32))
	free := map[uint64]bool{}
	for i := range int(binary.NativeEndian.Uint16(p[10:])) {
		free[number(p, 16+8*i)] = true
	}
	return free
}

// setMeta changes a field of the meta page in use, and its checksum.
func (tr *tree) setMeta(at int, v uint64) {
	binary.NativeEndian.PutUint64(tr.meta[at:], v)
	sum := uint64(14695981039346656037) // FNV-1a
	for _, b := range tr.meta[:56] {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	binary.NativeEndian.PutUint64(tr.meta[56:], sum)
}

func check(file []byte) error { return bolt.CheckPages(bytes.NewReader(file), int64(len(file))) }

func TestSoundPagesPass(t *testing.T) {
	must(t, check(newTree(t).file))
	must(t, check(readFile(t, large(t).Path)))
}

func TestDamagedPages(t *testing.T) {
	const branch, leaf = 0x01, 0x02
	put16 := binary.NativeEndian.PutUint16
	put32 := binary.NativeEndian.PutUint32
	put64 := binary.NativeEndian.PutUint64
	tests := []struct {
		name   string
		damage func(t *testing.T, tr *tree)
		want   string
	}{
		{"a page with another number", func(t *testing.T, tr *tree) { put64(tr.page(tr.find(t, leaf, 1)), 9) }, "says that it is page 9"},
		{"a page of an unknown kind", func(t *testing.T, tr *tree) { put16(tr.page(tr.find(t, leaf, 1))[8:], 3) }, "neither a branch nor a leaf"},
		{"a branch without elements", func(t *testing.T, tr *tree) { put16(tr.page(tr.find(t, branch, 1))[10:], 0) }, "is empty"},
		{"more elements than space", func(t *testing.T, tr *tree) { put16(tr.page(tr.find(t, leaf, 1))[10:], 60_000) }, "more elements than space"},
		{"an overflow beyond the end", func(t *testing.T, tr *tree) { put32(tr.page(tr.find(t, leaf, 1))[12:], 1<<31) }, "overflows the end"},
		{"a circle", func(t *testing.T, tr *tree) {
			id := tr.find(t, branch, 1)
			put64(tr.element(id, 0)[8:], id)
		}, "is used twice"},
		{"a page with two parents", func(t *testing.T, tr *tree) {
			id := tr.find(t, branch, 2)
			copy(tr.element(id, 1)[8:], tr.element(id, 0)[8:])
		}, "not in order"},
		{"a meta page as a child", func(t *testing.T, tr *tree) { put64(tr.element(tr.find(t, branch, 1), 0)[8:], 1) }, "page 1"},
		{"a child beyond the end", func(t *testing.T, tr *tree) { put64(tr.element(tr.find(t, branch, 1), 0)[8:], 1<<60) }, "beyond the end"},
		{"a record outside of its page", func(t *testing.T, tr *tree) { put32(tr.element(tr.find(t, leaf, 1), 0)[4:], 1<<30) }, "lies outside of it"},
		{"a record of which the length overflows", func(t *testing.T, tr *tree) {
			put32(tr.element(tr.find(t, leaf, 1), 0)[12:], 1<<32-1)
		}, "lies outside of it"},
		{"a record without a key", func(t *testing.T, tr *tree) { put32(tr.element(tr.find(t, leaf, 1), 0)[8:], 0) }, "lies outside of it"},
		{"a branch key outside of its page", func(t *testing.T, tr *tree) { put32(tr.element(tr.find(t, branch, 1), 0), 1<<30) }, "lies outside of it"},
		{"a record of an unknown kind", func(t *testing.T, tr *tree) { put32(tr.element(tr.find(t, leaf, 1), 0), 2) }, "unknown kind"},
		{"a record as a bucket", func(t *testing.T, tr *tree) { put32(tr.element(tr.find(t, leaf, 3), 1), 1) }, "page"},
		{"keys in a wrong order", func(t *testing.T, tr *tree) {
			tr.key(tr.find(t, branch, 3), 1)[0] = 'z'
		}, "not in order"},
		{"a key below those of its page", func(t *testing.T, tr *tree) {
			// The parent's key is raised above the first one of the child.
			id := tr.find(t, branch, 3)
			k := tr.key(id, 1)
			k[len(k)-1]++
		}, "not in order"},
		{"a key above those of its page", func(t *testing.T, tr *tree) {
			// The key of the next page is lowered to the last one of this.
			id := tr.find(t, branch, 3)
			copy(tr.key(id, 1), tr.key(id, 0))
			k := tr.key(id, 1)
			k[len(k)-1]++
		}, "not in order"},
		{"a page in use on the free list", func(t *testing.T, tr *tree) {
			put64(tr.page(number(tr.meta, 32))[16:], tr.find(t, leaf, 1))
		}, "on the list of free pages"},
		{"a free page listed twice", func(t *testing.T, tr *tree) {
			p := tr.page(number(tr.meta, 32))
			copy(p[24:32], p[16:24])
		}, "on the list of free pages"},
		{"a free list that is too long", func(t *testing.T, tr *tree) {
			p := tr.page(number(tr.meta, 32))
			put16(p[10:], 0xFFFF)
			put64(p[16:], 1<<62)
		}, "longer than its page"},
		{"a free list that is cut", func(t *testing.T, tr *tree) {
			p := tr.page(number(tr.meta, 32))
			put16(p[10:], binary.NativeEndian.Uint16(p[10:])-1)
		}, "neither in use nor free"},
		{"no free list", func(_ *testing.T, tr *tree) { tr.setMeta(32, ^uint64(0)) }, "is missing"},
		{"a free list that is none", func(t *testing.T, tr *tree) { put16(tr.page(number(tr.meta, 32))[8:], leaf) }, "not the list of free pages"},
		{"a root beyond the end", func(_ *testing.T, tr *tree) { tr.setMeta(16, 1<<50) }, "beyond the end"},
		{"more pages than the file has", func(_ *testing.T, tr *tree) { tr.setMeta(40, 1<<40) }, "cut short"},
		{"fewer pages than are in use", func(_ *testing.T, tr *tree) { tr.setMeta(40, 3) }, "beyond the end"},
		{"both meta pages damaged", func(_ *testing.T, tr *tree) { tr.file[20]++; tr.file[testPage+20]++ }, "both of its meta pages"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := newTree(t)
			test.damage(t, tr)
			err := check(tr.file)
			if !errors.Is(err, tokenstore.ErrCorrupt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ErrCorrupt that says %q", err, test.want)
			}
		})
	}
}

// One damaged meta page is what a crash may leave: the other one is used.
func TestOneDamagedMetaPage(t *testing.T) {
	for page := range 2 {
		tr := newTree(t)
		tr.file[page*testPage+60]++
		if err := check(tr.file); err != nil {
			t.Errorf("meta page %d: %v", page, err)
		}
	}
}

// Files of all page sizes, and as many changes as one likes, pass: what bbolt
// writes, checkPages understands.
func TestAllThatBoltWritesPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{1 << 10, 1 << 12, 1 << 14} {
		path := filepath.Join(t.TempDir(), "any.db")
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, PageSize: size, NoSync: true})
		must(t, err)
		for range 12 {
			must(t, db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists(fmt.Appendf(nil, "bucket %d", r.IntN(5)))
				if err != nil {
					return err
				}
				for range 30 {
					key := fmt.Appendf(nil, "%d", r.IntN(500))
					if r.IntN(3) == 0 {
						err = b.Delete(key)
					} else {
						err = b.Put(key, make([]byte, r.IntN(3*size)))
					}
					if err != nil {
						return err
					}
				}
				return nil
			}))
			if err := check(readFile(t, path)); err != nil {
				t.Fatalf("page size %d: %v", size, err)
			}
		}
		must(t, db.Close())
	}
}
