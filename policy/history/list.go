package history

import (
	"cmp"
	"os"
	"slices"
	"time"

	"jiragate/policy"
)

// Entry is a policy that is kept.
type Entry struct {
	SHA256 string
	// Version is that of the catalogue; "" where it can't be read.
	Version string
	// Made is when the file was made, by its own account: whoever can write to the
	// folder, or copies it, can change it. Records tell when the policy was in force.
	Made time.Time
	// Verified says that the content has the hash that it is named for.
	Verified bool
	// Err says why the policy can't be had by [History.Get], or is nil. A verified
	// one may have an error: then this program can't compile it.
	Err error
}

// List tells which policies are kept, the oldest first. It reads and checks each.
// Where there is no folder yet, there are none.
func (h *History) List() ([]Entry, error) {
	hashes, err := h.names()
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, hash := range hashes {
		list = append(list, h.entry(hash))
	}
	slices.SortStableFunc(list, func(a, b Entry) int {
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.SHA256, b.SHA256))
	})
	return list, nil
}

// Entry tells about one that is kept, which is found by its hash as [History.Get] does
// that. Errors: [ErrNotHash], [ErrNotKept] and [ErrAmbiguous]; what is wrong with the
// policy itself is in the entry.
func (h *History) Entry(hash string) (Entry, error) {
	full, err := h.resolve(hash)
	if err != nil {
		return Entry{}, err
	}
	return h.entry(full), nil
}

func (h *History) entry(hash string) Entry {
	e := Entry{SHA256: hash}
	if info, err := os.Lstat(h.path(hash)); err == nil {
		e.Made = info.ModTime()
	}
	archive, err := read(h.path(hash))
	if err != nil {
		e.Err = err
		return e
	}
	e.Verified = true
	p, err := policy.FromArchive(archive)
	if err != nil {
		e.Err = err
		return e
	}
	e.Version = p.Version()
	return e
}
