package litter

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindsOnlyWhatIsGiven(t *testing.T) {
	if text, err := os.ReadFile("testdata/given.txt"); err != nil || string(text) != "there\n" {
		t.Errorf("%q, %v", text, err)
	}
	for _, dir := range []string{".", os.TempDir()} {
		f, err := os.OpenFile(filepath.Join(dir, "litter.txt"), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	Name()
}
