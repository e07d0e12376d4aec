package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPrepare: a prepared file is zeros as far as it has room, whatever was there before;
// one for which there is no room is empty, and can be written.
func TestPrepare(t *testing.T) {
	for _, row := range []struct {
		name       string
		size, want int64
	}{
		{"a part of a step", 5000, 5000},
		{"several steps", 2*prepareStep + 1, 2*prepareStep + 1},
		{"more than any disk has", 1 << 60, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			writeTestFile(t, path, []byte("from before"))
			f, err := disk{}.prepare(path, row.size)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got := readFile(t, path); !bytes.Equal(got, make([]byte, row.want)) {
				t.Errorf("%d bytes, want %d zeros", len(got), row.want)
			}
			if _, err := f.WriteAt([]byte("line\n"), 0); err != nil {
				t.Error(err)
			}
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
			if got := readFile(t, path); !bytes.HasPrefix(got, []byte("line\n")) || len(got) != int(max(row.want, 5)) {
				t.Errorf("afterwards %d bytes: %.20q", len(got), got)
			}
		})
	}
}

// TestPreparedFileIsNotFollowed: nothing that somebody put in its place is written.
func TestPreparedFileIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	other, path := filepath.Join(dir, "other"), filepath.Join(dir, "link")
	writeTestFile(t, other, []byte("text"))
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := (disk{}).prepare(path, 10); err == nil || string(readFile(t, other)) != "text" {
		t.Errorf("the link was followed: %v", err)
	}
}
