package audit

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve gives f its first size bytes of the disk, or fails if there is no room.
func reserve(f *os.File, size int64) error {
	return withDescriptor(f, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}

func syncData(f *os.File) error {
	if err := withDescriptor(f, unix.Fdatasync); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

// withDescriptor calls do until no signal interrupts it; f is not closed meanwhile.
func withDescriptor(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			if failed = do(int(fd)); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}
