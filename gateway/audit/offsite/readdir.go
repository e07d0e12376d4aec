package offsite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// ErrTooMany is that a directory has more checkpoints than [ReadDir] reads.
var ErrTooMany = errors.New("too many checkpoints in one directory")

// errNotCheckpoint is that something under a checkpoint's name can't be one.
var errNotCheckpoint = errors.New("not a checkpoint's file")

// Found is a file that [ReadDir] found.
type Found struct {
	Path  string
	Bytes []byte // what is in it; nil if it was not read
	// Err is nil for a whole signed note, of which nothing was verified.
	// [ErrMalformed] is that it was read and is no such note, as after a crash.
	Err error
}

// limits bound what is read.
type limits struct {
	files int
	bytes int64 // of all files
}

// One file a minute makes a million in two years, of 200 bytes each.
var defaultLimits = limits{files: 1_000_000, bytes: 1 << 30}

// ReadDir returns all files in dir whose name ends in .checkpoint, by name; other
// files and directories below are ignored. Symbolic links are not followed, nor is
// anything read but regular files of at most [MaxCheckpoint] bytes: what can't be
// read, or is no whole note, comes with an Err of its own and doesn't keep others
// from being read. Paths may have any characters in them: quote them.
//
// The error is that dir can't be listed, or [ErrTooMany]: there are more than a
// million files, or more than 1 GiB in them.
func ReadDir(dir string) ([]Found, error) { return readDir(dir, defaultLimits) }

func readDir(dir string, most limits) ([]Found, error) {
	names, err := checkpointNames(dir, most.files)
	if err != nil {
		return nil, err
	}
	all := make([]Found, 0, len(names))
	var total int64
	for _, name := range names {
		f := find(filepath.Join(dir, name))
		if total += int64(len(f.Bytes)); total > most.bytes {
			return nil, fmt.Errorf("read checkpoints of %q: %w: they have more than %d bytes; move some to another directory and read both", dir, ErrTooMany, most.bytes)
		}
		all = append(all, f)
	}
	return all, nil
}

func checkpointNames(dir string, most int) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	defer d.Close()
	var names []string
	for {
		batch, err := d.Readdirnames(1000)
		for _, name := range batch {
			if strings.HasSuffix(name, fileSuffix) {
				names = append(names, name)
			}
		}
		if len(names) > most {
			return nil, fmt.Errorf("list checkpoints of %q: %w: more than %d; move some to another directory and read both", dir, ErrTooMany, most)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list checkpoints: %w", err)
		}
	}
}

func find(path string) Found {
	file, content, err := readRegular(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // e has the path in it as it is, which might steer a terminal
		}
		return Found{Path: path, Err: fmt.Errorf("read the checkpoint %q: %w", path, err)}
	}
	_ = file.Close() // it was only read
	f := Found{Path: path, Bytes: content}
	if _, err := parseNote(content); err != nil {
		f.Err = fmt.Errorf("read the checkpoint %q: %w", path, err)
	}
	return f
}

// readRegular opens and reads a file, and nothing that somebody put in its place;
// that, and what is too large, is errNotCheckpoint. The caller closes it.
func readRegular(path string) (_ *os.File, _ []byte, err error) {
	// O_NONBLOCK, since opening a named pipe would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) { // a link, a socket
		return nil, nil, fmt.Errorf("%w but a link or a socket", errNotCheckpoint)
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w but no regular file at all", errNotCheckpoint)
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxCheckpoint+1))
	if err != nil {
		return nil, nil, err
	}
	if len(content) > MaxCheckpoint {
		return nil, nil, fmt.Errorf("%w: it has more than %d bytes", errNotCheckpoint, MaxCheckpoint)
	}
	return f, content, nil
}
