package index_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRootMakesTheFileForTheGateway: else the gateway could not use it afterwards.
func TestRootMakesTheFileForTheGateway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := logDir(t)
	hours(t, dir, 2, 10)
	if err := os.Chown(filepath.Dir(dir), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	update(t, open(t, dir))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(indexFile(dir) + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 65534 || owner.Gid != 65534 {
			t.Errorf("%q is of %d:%d", suffix, owner.Uid, owner.Gid)
		}
	}
}
