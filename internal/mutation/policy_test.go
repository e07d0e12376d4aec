package mutation

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A suite is some files of a package with the tests that have to notice their faults.
type suite struct {
	name  string
	dir   string // of the package, below that of policy
	files []string
	// without are the tests that take long for what they notice of these files.
	without *regexp.Regexp
}

var suites = []suite{
	// What decides about calls, with what it decides by: the catalogue, the rules, and
	// what is masked in records. It has to be noticed without the tests that are about
	// something else: the diff, calls of the past, and files of rules.
	{
		"deciding", ".",
		[]string{
			"body.go", "catalogue.go", "compile.go", "connection.go", "decide.go", "decision.go", "identifier.go",
			"json.go", "mask.go", "narrow.go", "path.go", "query.go", "rules.go",
		},
		regexp.MustCompile("^Test(Diff|Effects|Reconsider|RulesOnlyNarrow|LongestArchive)|^FuzzRules"),
	},
	// What people read of the policy: what changed from one to another, why a call is
	// refused, and the whole of it. The tests that draw policies take long; those that
	// spell out what is said have to notice it all.
	{
		"comparing", ".",
		[]string{"diff.go", "diffeffect.go", "diffoperation.go", "diffrule.go", "explain.go", "export.go"},
		regexp.MustCompile("^Test(Effects|DiffOfNewRules|Reconsider|RulesOnlyNarrow|LongestArchive)|^FuzzRules"),
	},
	// What reads texts, archives, and records of calls, with the warnings about rules and
	// the policy itself. It has to be noticed without the tests that try every call, or
	// calls at random, or that are about something else.
	{
		"reading", ".",
		[]string{
			"archive.go", "check.go", "code.go", "document.go", "edition.go", "fill.go", "operation.go", "policy.go",
			"quote.go", "recorded.go", "suppose.go",
		},
		regexp.MustCompile("^Test(Diff|Effects|Reconsider|RulesOnlyNarrow)|^FuzzRules"),
	},
	// What keeps the policies that decided, so that a record's hash leads to its rules.
	{"history", "history", []string{"history.go", "list.go"}, nil},
	// What sums up how recorded calls would be decided by another policy.
	{"replay", "replay", []string{"replay.go"}, nil},
}

// equivalent are the mutants that no test can notice, a file for each suite, each with
// the reason: its key as [Mutant.Key] gives it, then " = ", then the reason.
//
//go:embed testdata/equivalent
var equivalent embed.FS

func TestPolicysTestsNoticeFaults(t *testing.T) {
	for _, dir := range []string{policyDir, "../nearest", "../privatefile"} {
		dependOn(t, dir)
	}
	for _, s := range suites {
		t.Run(s.name, s.test)
	}
}

const policyDir = "../../policy"

// A file that is new is in a suite, too.
func TestSuitesHaveEveryFile(t *testing.T) {
	var covered []string
	for _, s := range suites {
		for _, file := range s.files {
			covered = append(covered, filepath.Join(policyDir, s.dir, file))
		}
	}
	var there []string
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, err := filepath.Glob(filepath.Join(policyDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, files...)
	}
	there = slices.DeleteFunc(there, func(file string) bool {
		return strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "doc.go"
	})
	slices.Sort(covered)
	slices.Sort(there)
	if !slices.Equal(covered, there) {
		t.Errorf("files in suites:\n%q\nfiles of policy and below:\n%q", covered, there)
	}
}

func (s suite) test(t *testing.T) {
	dir := filepath.Join(policyDir, s.dir)
	p, err := Load(dir, s.files...)
	if err != nil {
		t.Fatal(err)
	}
	list := "testdata/equivalent/" + s.name + ".txt"
	reasons := readList(t, list)
	for _, m := range p.Mutants {
		if reason, ok := reasons[m.Key()]; ok && reason == "" {
			t.Errorf("%s has no reason", m.Key())
		}
	}
	var flags []string
	if s.dir == "." { // whose tests alone draw their cases
		// One seed, so that each run tries the same cases; no time for shrinking them.
		flags = []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s"}
	}
	built, err := Build(t.Context(), p, t.TempDir(), s.without, flags...)
	if err != nil {
		t.Fatal(err)
	}
	verdicts := make(map[Verdict]int)
	results, err := built.Run(t.Context(), func(Result) {})
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
			t.Errorf("tests notice a mutant that is listed as equivalent; take it out of %s:\n%s", list, r.Key())
		case !noticed && !listed:
			t.Errorf("%s:%d: no test notices a fault; write one beside it, or list it with the reason in %s (%s):\n%s", filepath.Join(dir, r.File), r.Line, list, r.Verdict, r.Key())
		}
	}
	for key := range reasons {
		t.Errorf("%s lists a mutant that there is no more; take it out:\n%s", list, key)
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

func readList(t *testing.T, list string) map[string]string {
	t.Helper()
	text, err := equivalent.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " = ")
		if i < 0 {
			t.Fatalf("a line of %s is not KEY = REASON: %s", list, line)
		}
		key := line[:i]
		if _, twice := reasons[key]; twice {
			t.Errorf("%s lists a mutant twice: %s", list, key)
		}
		reasons[key] = strings.TrimSpace(line[i+len(" = "):])
	}
	return reasons
}
