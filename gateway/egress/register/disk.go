package register

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"jiragate/internal/privatefile"
)

// noFile reports whether sum is that which stands for a file that doesn't exist.
func noFile(sum privatefile.Sum) bool { return sum == privatefile.Sum{} }

// read returns the content of the file, a little of it where it is too large, and
// its sum: the zero one where there is no file.
func read(path string) (content []byte, sum privatefile.Sum, err error) {
	f, err := privatefile.Open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, privatefile.Sum{}, nil
	}
	if err != nil {
		return nil, privatefile.Sum{}, err
	}
	content, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, privatefile.Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	return content, privatefile.SumOf(content), nil
}

// put makes the file where old says that there is none, or else replaces it.
func put(path string, old privatefile.Sum, content []byte) error {
	if noFile(old) {
		return privatefile.Create(path, content)
	}
	return privatefile.Replace(path, old, content)
}

// store puts content in the place of a file that has the sum old. It reports
// whether the file holds content now, which may be so after an error, too: then
// the error says it.
func (r *Register) store(old privatefile.Sum, content []byte) (stored bool, err error) {
	// Replace compares as well, but has no bound for what it reads.
	_, before, err := read(r.path)
	switch {
	case err != nil:
		return false, err
	case noFile(before) && !noFile(old):
		return false, fmt.Errorf("%s: %w: it is gone; start again with the file as it is now", r.path, ErrConflict)
	case before != old:
		return false, conflict(r.path)
	}
	err = r.put(r.path, old, content)
	switch {
	case err == nil:
		return true, nil
	// Only of a new file: ENOTEMPTY, of a folder in the way, is an ErrExist, too.
	case errors.Is(err, privatefile.ErrChanged), noFile(old) && errors.Is(err, fs.ErrExist):
		return false, conflict(r.path)
	}
	_, after, unread := read(r.path)
	switch {
	case unread != nil:
		return false, fmt.Errorf("%w; whether the change is in %s can't be seen (%w): look at the disk, then start again", err, r.path, unread)
	case after == privatefile.SumOf(content):
		return true, fmt.Errorf("%w; the change is in %s nevertheless, but a power failure may undo it: look at the disk", err, r.path)
	}
	return false, err
}

func conflict(path string) error {
	return fmt.Errorf("%s: %w since it was read; start again with the file as it is now", path, ErrConflict)
}
