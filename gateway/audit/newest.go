package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// Signed is a checkpoint beside the log.
type Signed struct {
	Note []byte    // as it is signed
	Size uint64    // the records that it covers, from the first
	Made time.Time // when its file was written
}

// NewestCheckpoint reads the newest checkpoint in dir. It is of a key in trust, or of
// one that those have endorsed, which is added; and it is not compared with the log:
// see [Verify]. Where there is none, the error is [ErrNoCheckpoint], and where it is
// signed by somebody else, [checkpoint.ErrUnsigned].
func NewestCheckpoint(dir string, trust *checkpoint.Trust) (Signed, error) {
	failed := func(err error) (Signed, error) {
		return Signed{}, fmt.Errorf("read the newest checkpoint: %w", err)
	}
	if err := Learn(dir, trust); err != nil {
		return failed(err)
	}
	for range 2 { // retention or the next hour may remove it between the two reads
		names, err := checkpointNames(dir)
		if err != nil {
			return failed(err)
		}
		if len(names) == 0 {
			return failed(ErrNoCheckpoint)
		}
		path := filepath.Join(dir, names[len(names)-1])
		note, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return failed(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			return failed(err)
		}
		c, err := trust.Open(note)
		if err != nil {
			return failed(fmt.Errorf("%s: %w", path, err))
		}
		return Signed{note, c.Size, info.ModTime().UTC()}, nil
	}
	return failed(ErrNoCheckpoint)
}
