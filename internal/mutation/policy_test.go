package mutation

import (
	_ "embed"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What of the policy decides about calls, with what it decides by: the catalogue, the
// rules, and what is masked in records. Not among them is what reads YAML (document),
// what is asked about calls of the past (recorded, suppose, fill), the warnings about
// rules (check), and what people read of the policy (diff, explain, export): of their
// mutants some survive still.
var deciding = []string{
	"body.go", "catalogue.go", "compile.go", "connection.go", "decide.go", "decision.go", "identifier.go",
	"json.go", "mask.go", "narrow.go", "path.go", "query.go", "rules.go",
}

// slow are tests that are about something else than deciding: the diff, calls of the
// past, and files of rules. What decides has to be noticed without them.
var slow = regexp.MustCompile("^Test(Diff|Effects|Reconsider|RulesOnlyNarrow|LongestArchive)|^FuzzRules")

// equivalent lists the mutants that no test can notice, each with the reason: its key
// as [Mutant.Key] gives it, then " = ", then the reason.
//
//go:embed testdata/equivalent.txt
var equivalent string

func TestPolicysTestsNoticeFaults(t *testing.T) {
	const dir = "../../policy"
	dependOn(t, dir)
	p, err := Load(dir, deciding...)
	if err != nil {
		t.Fatal(err)
	}
	reasons := readList(t, equivalent)
	for _, m := range p.Mutants {
		if reason, ok := reasons[m.Key()]; ok && reason == "" {
			t.Errorf("%s has no reason", m.Key())
		}
	}
	// One seed, so that each run tries the same cases; no time for shrinking them.
	s, err := Build(t.Context(), p, t.TempDir(), slow, "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	if err != nil {
		t.Fatal(err)
	}
	verdicts := make(map[Verdict]int)
	results, err := s.Run(t.Context(), func(Result) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		verdicts[r.Verdict]++
		_, listed := reasons[r.Key()]
		noticed := r.Verdict == Killed || r.Verdict == TimedOut
		delete(reasons, r.Key())
		switch {
		case noticed && listed:
			t.Errorf("tests notice a mutant that is listed as equivalent; take it out of testdata/equivalent.txt:\n%s", r.Key())
		case !noticed && !listed:
			t.Errorf("policy/%s:%d: no test notices a fault; write one in policy, or list it with the reason in testdata/equivalent.txt (%s):\n%s", r.File, r.Line, r.Verdict, r.Key())
		}
	}
	for key := range reasons {
		t.Errorf("testdata/equivalent.txt lists a mutant that there is no more; take it out:\n%s", key)
	}
	t.Logf("%d mutants: %v", len(results), verdicts)
}

// dependOn reads what the go command compiles, so that it knows that another result
// of the test may come of a change there.
func dependOn(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"../../go.mod", "../../go.sum"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
}

func readList(t *testing.T, text string) map[string]string {
	t.Helper()
	reasons := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " = ")
		if i < 0 {
			t.Fatalf("a line of testdata/equivalent.txt is not KEY = REASON: %s", line)
		}
		key := line[:i]
		if _, twice := reasons[key]; twice {
			t.Errorf("testdata/equivalent.txt lists a mutant twice: %s", key)
		}
		reasons[key] = strings.TrimSpace(line[i+len(" = "):])
	}
	return reasons
}
