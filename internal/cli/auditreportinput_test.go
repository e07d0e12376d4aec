package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"jiragate/gateway/audit/report"
)

// Where one file can't be written, none is left.
func TestReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, report.ChecksumsName), 0o700); err != nil {
		t.Fatal(err)
	}
	a := &app{out: &syncBuffer{}}
	if err := a.writeReport(dir, &reportFiles{page: []byte("p")}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
}
