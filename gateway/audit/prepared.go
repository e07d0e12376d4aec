package audit

import (
	"errors"
	"os"
	"syscall"
)

// preparedFile is a file whose first bytes are on disk, as zeros, before anything is put
// there. Writing there changes neither its size nor where its blocks are, so that
// bringing it to disk is one write of data: the file system's own journal, for which
// every other fsync under way would wait too, has no part in it.
type preparedFile struct{ *os.File }

// Sync brings the data to disk, and of the rest what is needed to read them again.
func (f preparedFile) Sync() error { return syncData(f.File) }

// prepareStep is how many zeros are written at once.
const prepareStep = 256 << 10

// prepare makes the file anew. Where there is no room for size bytes, or it can't be
// told, the file is empty and grows as others do.
func (d disk) prepare(path string, size int64) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	// Reserved first: zeros written until the disk is full would leave no room for records.
	err = reserve(f, size)
	zeros := make([]byte, min(prepareStep, size))
	for at := int64(0); at < size && err == nil; at += prepareStep {
		_, err = f.WriteAt(zeros[:min(prepareStep, size-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		if cut := f.Truncate(0); cut != nil {
			return nil, errors.Join(err, cut, f.Close())
		}
	}
	return preparedFile{f}, nil
}
