package mutation

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// One package twice, with a test that tries nothing at the limit, and with one that
// does: only of the first do faults survive, and just those.
func TestSurvivorsAreWhatTestsDoNotTry(t *testing.T) {
	for _, tt := range []struct {
		dir       string
		survivors []string
	}{
		{"testdata/weak", []string{
			`age.go |  | limit | limit = 18 -> 18+1`,
			`age.go |  | limit | limit = 18 -> 18-1`,
			`age.go | Adult | boundary | age < limit -> age <= limit`,
			`age.go | Adult | result | return "no ticket" -> zero`,
			`age.go | Adult | result | return "too young" -> zero`,
		}},
		{"testdata/strong", nil},
	} {
		t.Run(tt.dir, func(t *testing.T) {
			p, err := Load(tt.dir, "age.go")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Build(t.Context(), p, t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			results, err := s.Run(t.Context(), func(Result) {})
			if err != nil {
				t.Fatal(err)
			}
			var survivors []string
			for _, r := range results {
				if r.Verdict != Killed {
					survivors = append(survivors, r.Key())
				}
			}
			slices.Sort(survivors)
			if !slices.Equal(survivors, tt.survivors) {
				t.Errorf("of %d mutants these survived:\n%q\nwant:\n%q", len(results), survivors, tt.survivors)
			}
		})
	}
}

// Tests that leave files where they run pass in each run only if no other run's are
// there; none must be left in the source tree.
func TestRunsDoNotDisturbEachOther(t *testing.T) {
	const dir = "testdata/litter"
	p, err := Load(dir, "litter.go")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Build(t.Context(), p, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.Run(t.Context(), func(Result) {})
	if err != nil || len(results) == 0 {
		t.Fatalf("%d mutants, %v", len(results), err)
	}
	for _, r := range results {
		if r.Verdict != Survived {
			t.Errorf("%s: %s, although its test looks at nothing but files", r.Key(), r.Verdict)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "litter.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was left in the source tree (%v)", err)
	}
}
