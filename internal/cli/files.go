package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"

	"jiragate/internal/privatefile"
)

// prepareDataDir makes the data directory with mode 0700, or refuses one that
// others may enter.
func prepareDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("looking at the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the data directory %s is not a directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		return hint(fmt.Errorf("the data directory %s has mode %04o: others than its owner may enter it", dir, info.Mode().Perm()), "chmod 700 %s", dir)
	}
	return ownedByUs(dir, info)
}

// checkAccess refuses the files that the settings name, where others could read a secret
// or change what the gateway trusts, and files that can't be read. The error joins one for
// each. Who reads a file checks it again, since it may have changed.
func (c *Config) checkAccess() error {
	var problems []error
	values := reflect.ValueOf(*c)
	for f := range configFields() {
		if f.Tag.Get("type") != "file" {
			continue
		}
		path := values.FieldByIndex(f.Index).String()
		if path == "" {
			continue
		}
		var err error
		switch {
		case path == c.EgressFile:
			err = c.checkEgressFile()
		case f.Tag.Get("holds") == "secret":
			err = privatefile.CheckSecret(path)
		default:
			err = privatefile.CheckTrusted(path)
		}
		if (path == c.AdminTokenFile || path == c.MetricsTokenFile) && errors.Is(err, fs.ErrNotExist) {
			continue // serve makes it
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", variableOf(f), unreadable(path, err)))
		}
	}
	return errors.Join(problems...)
}

// ownStore refuses the store of another user, which only root can open: what root
// writes beside it, the keyset and the audit log among it, that user could not open
// any more.
func ownStore(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return ownedByUs(path, info)
}

func ownedByUs(path string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		owner := actorOf(strconv.FormatUint(uint64(s.Uid), 10), "").Name
		return hint(fmt.Errorf("%s belongs to another user (%s)", path, strings.TrimPrefix(owner, "operator:")), "run the command as that user, as with sudo -u")
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// newPrivateFile is newFile for what is its owner's alone.
func newPrivateFile(path string, write func(io.Writer) error) error {
	return newFile(path, 0o600, write)
}

// newFile writes a file that appears as a whole or not at all, and is on disk when
// the function returns. One that exists is replaced.
func newFile(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The name is there; that it is on disk too is asked of the directory.
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
