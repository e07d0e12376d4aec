package cli_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/reference anew")

// referencePage is one of docs/reference.
type referencePage struct {
	name, title string
	write       func(*testing.T, *bytes.Buffer)
}

var referencePages = []referencePage{
	{"variables.md", "Environment variables", writeVariables},
	{"commands.md", "Commands", writeCommands},
	{"operations.md", "Documented operations", writeOperations},
	{"codes.md", "Reason codes", writeCodes},
	{"records.md", "Fields of a call record", writeRecords},
	{"metrics.md", "Metrics", writeMetrics},
	{"api.md", "Admin API", writeAPI},
}

// The reference is what the program says of itself. Where this fails, the program was
// changed and the pages were not:
//
//	go test ./internal/cli -run TestReference -update
func TestReference(t *testing.T) {
	const dir = "../../docs/reference"
	for _, p := range referencePages {
		t.Run(p.name, func(t *testing.T) {
			var page bytes.Buffer
			fmt.Fprintf(&page, "# %s\n\n", p.title)
			p.write(t, &page)
			path := filepath.Join(dir, p.name)
			if *update {
				if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			is, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(is), page.String()); diff != "" {
				t.Errorf("%s (-) is not what the program says (+); write it anew by\n\tgo test ./internal/cli -run TestReference -update\n%s", path, diff)
			}
		})
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.ContainsFunc(referencePages, func(p referencePage) bool { return p.name == e.Name() }) {
			t.Errorf("docs/reference has %s, which is not generated", e.Name())
		}
	}
}
