package offsite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// maxNumber is how many files there may be for one size of the log. A disk that
// is full while no calls come makes one in five minutes.
const maxNumber = 10_000

// newFile is what is needed of a file that is being written; storage is where
// those come from. They are a seam: tests put a disk there that is full or fails.
type newFile interface {
	io.WriteCloser
	Sync() error
}

type storage interface {
	// create makes a file, and fails with fs.ErrExist if there is anything of
	// that name.
	create(path string) (newFile, error)
	// syncDir makes the creation of files in dir durable.
	syncDir(dir string) error
}

// directory keeps checkpoints as files.
type directory struct {
	path    string
	storage storage
	log     *slog.Logger

	// suspect are the names under which writing failed, for the size that is being
	// delivered. Such a file is not trusted even if it reads as it should: after a
	// failed fsync what is in memory may never reach the disk.
	suspect map[string]bool
	size    uint64
}

func (d *directory) carry(ctx context.Context, c *checkpoint) error {
	if d.suspect == nil || d.size != c.size {
		d.suspect, d.size = map[string]bool{}, c.size
	}
	var other string // a file that others left here
	var unfinished bool
	for number := 1; number <= maxNumber; number++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("write a checkpoint to %s: %w", d.path, err)
		}
		name := c.fileName(number)
		if d.suspect[name] {
			continue
		}
		err := d.write(name, c.signed)
		if err == nil {
			d.report(ctx, other, name, unfinished)
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		found, err := d.existing(name, c.signed)
		if err != nil {
			return err
		}
		if found == same {
			return nil
		}
		if other == "" {
			other, unfinished = name, found == prefix
		}
	}
	return fmt.Errorf("write a checkpoint to %s: there are %d files for the size %d of the log that are unfinished or others: look at them, and at the disk",
		d.path, maxNumber, c.size)
}

func (d *directory) report(ctx context.Context, other, name string, unfinished bool) {
	switch {
	case other == "":
	case unfinished:
		d.log.WarnContext(ctx, "a checkpoint's file is unfinished, as after a crash; it stays, and the checkpoint is beside it",
			"directory", d.path, "unfinished", other, "file", name,
			"hint", "nothing to do after a crash; whoever compares checkpoints leaves that file out")
	default:
		d.log.ErrorContext(ctx, "there is another file in a checkpoint's place: damage, or another history of the log at the same size; compare them",
			"directory", d.path, "other", other, "file", name,
			"hint", "keep both files; jiragate audit verify with each tells which one the log contradicts")
	}
}

// write makes the file and brings it to the disk.
func (d *directory) write(name string, content []byte) error {
	f, err := d.storage.create(filepath.Join(d.path, name))
	if err != nil {
		return fmt.Errorf("create a checkpoint's file: %w", err)
	}
	n, err := f.Write(content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = d.storage.syncDir(d.path)
	}
	if err != nil {
		d.suspect[name] = true
		return fmt.Errorf("write a checkpoint's file: %w", err)
	}
	return nil
}

// likeness is what a file that exists has to do with what should be in it.
type likeness int

const (
	different likeness = iota
	prefix             // nothing, or only the beginning
	same
)

// existing compares the file with want. If they are the same, it is on disk.
func (d *directory) existing(name string, want []byte) (likeness, error) {
	f, content, err := readRegular(filepath.Join(d.path, name))
	switch {
	case errors.Is(err, errNotCheckpoint), errors.Is(err, fs.ErrPermission):
		return different, nil
	case err != nil:
		return different, fmt.Errorf("read a checkpoint's file that exists: %w", err)
	}
	defer f.Close()
	switch {
	case bytes.Equal(content, want):
		// A process that ended may have written but not synced it.
		if err := errors.Join(tolerant(f.Sync()), d.storage.syncDir(d.path)); err != nil {
			d.suspect[name] = true
			return different, fmt.Errorf("sync a checkpoint's file that exists: %w", err)
		}
		return same, nil
	case bytes.HasPrefix(want, content):
		return prefix, nil
	}
	return different, nil
}

// disk is the real storage.
type disk struct{}

func (disk) create(path string) (newFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (disk) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(tolerant(f.Sync()), f.Close())
}

// tolerant forgives what some network file systems say of an fsync on a directory
// or on a file that was opened to be read: that there is no such thing.
func tolerant(err error) error {
	for _, unsupported := range []error{syscall.EINVAL, syscall.ENOTSUP, syscall.EBADF, syscall.EROFS} {
		if errors.Is(err, unsupported) {
			return nil
		}
	}
	return err
}

// WriteFile writes one signed checkpoint into dir, as the place of a directory has it. It fails
// with [ErrMalformed] for what is no signed note.
func WriteFile(ctx context.Context, dir string, size uint64, signed []byte) error {
	c := newCheckpoint(signed, size)
	if c.defect != nil {
		return c.defect
	}
	d := &directory{path: dir, storage: disk{}, log: slog.New(slog.DiscardHandler)}
	return d.carry(ctx, c)
}
