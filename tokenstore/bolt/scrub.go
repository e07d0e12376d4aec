package bolt

import (
	"fmt"
	"io"
	"os"
	"slices"

	"go.etcd.io/bbolt"
)

// bbolt leaves what it frees as it was, so the record of a connection that was
// removed stays readable until its page is used again. scrub overwrites all pages
// that are not in use with zeros, and waits for the disk. The caller holds mu.
//
// No page that could still be wanted is touched:
//
//   - bbolt begins with either of its two meta pages, the older one where the
//     younger is damaged. An empty commit makes both lead to trees of now, and a
//     page that one of the two leads to is in use. Which pages those are is read
//     from the file itself, by the checks that Open makes, and not from what bbolt
//     has in memory.
//   - mu keeps writers away from the empty commit on. A transaction that reads an
//     older tree ends before the first page is overwritten; those that begin
//     afterwards read the present one.
//   - A backup may take long. What it makes impossible is done when it ends.
//
// A crash on the way leaves some pages overwritten and others not, none of them
// in use. Open does it again from the start.
func (s *Store) scrub() error {
	s.unscrubbed = true // until it has been done
	if s.backups > 0 {
		return nil
	}
	const action = "overwriting pages that are not in use"
	err := s.run(action, func() error {
		return s.db.Update(func(*bbolt.Tx) error { return nil })
	})
	if err != nil {
		return err
	}
	s.awaitReaders()
	if err := overwriteUnused(s.file); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	s.unscrubbed = false
	return nil
}

// awaitReaders returns when all transactions of view that were going on have
// ended. Those that begin meanwhile wait for it, for microseconds.
func (s *Store) awaitReaders() {
	s.reading.Lock()
	defer s.reading.Unlock()
}

// overwriteUnused overwrites the pages of a file that are not in use.
func overwriteUnused(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var zeros []byte
	err = forEachUnused(f, info.Size(), func(at int64, page []byte) error {
		if zeros == nil {
			zeros = make([]byte, len(page))
		}
		_, err := f.WriteAt(zeros, at)
		return err
	})
	if err != nil {
		return err
	}
	return f.Sync()
}

// forEachUnused calls fn with each page that neither of the two meta pages leads
// to, and where it begins. Pages of zeros are left out: a hole in the file should
// stay one. Where either meta page is damaged, or what it leads to, fn is not
// called at all.
func forEachUnused(r io.ReaderAt, size int64, fn func(at int64, page []byte) error) error {
	w := pageWalk{r: r, size: size}
	metas, err := w.metas()
	if err != nil {
		return err
	}
	if len(metas) != 2 {
		return corruptf("one of its two meta pages is damaged")
	}
	used := make([]bool, size/w.pageSize)
	for _, meta := range metas {
		pages, err := w.pagesOf(meta)
		if err != nil {
			return err
		}
		for id, u := range pages {
			used[id] = used[id] || u
		}
	}
	page := make([]byte, w.pageSize)
	for id, u := range used {
		if u {
			continue
		}
		at := int64(id) * w.pageSize
		if _, err := r.ReadAt(page, at); err != nil {
			return err
		}
		if isZero(page) {
			continue
		}
		if err := fn(at, page); err != nil {
			return err
		}
	}
	return nil
}

func isZero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}
