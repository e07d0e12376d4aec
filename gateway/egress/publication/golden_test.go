package publication_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/gateway/egress/publication"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The golden files are what customers get. Look at the difference before using
// -update: it is a change of their firewalls' input.
func TestGoldenFiles(t *testing.T) {
	for name, d := range map[string]*publication.Document{"us": sample(), "unpinned": unpinned()} {
		t.Run(name, func(t *testing.T) {
			files, err := d.Files()
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join("testdata", name)
			wanted := map[string]bool{}
			for _, f := range files {
				wanted[f.Name] = true
				path := filepath.Join(dir, f.Name)
				if *update {
					if err := os.MkdirAll(dir, 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, f.Content, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
					continue
				}
				if diff := cmp.Diff(string(want), string(f.Content)); diff != "" {
					t.Errorf("%s (-golden +now):\n%s", f.Name, diff)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !wanted[e.Name()] {
					t.Errorf("%s is no file of a publication", e.Name())
				}
			}
		})
	}
}
