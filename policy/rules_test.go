package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file of testdata/rules has one defect, for which it is named, and tells
// in its first line the error that it must give.
func TestDefectiveRulesAreRefused(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("testdata/rules has %d files (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want, ok := strings.CutPrefix(first, "# error: ")
			if !ok || want == "" {
				t.Fatalf("the first line is %q; it must tell the error", first)
			}
			p, err := New(text)
			if err == nil || err.Error() != want || p != nil {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
			if _, ok := errors.AsType[*DocumentError](err); !ok {
				t.Errorf("the error is a %T", err)
			}
			if warnings, err := Check(text); err == nil || err.Error() != want || warnings != nil {
				t.Errorf("Check: %v, %v", warnings, err)
			}
		})
	}
}

func TestRulesThatAreNoText(t *testing.T) {
	for name, text := range map[string][]byte{
		"empty file":  {},
		"not UTF-8":   []byte("version: 1 # \xff\n"),
		"UTF-16":      []byte("\xff\xfev\x00e\x00"),
		"one MiB":     []byte("version: 1\n#" + strings.Repeat("x", maxDocument)),
		"only a NUL":  {0},
		"only spaces": []byte("  \n"),
	} {
		if _, err := New(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Check(nil); err == nil {
		t.Error("Check(nil): no error, although a file that is not there cannot be right")
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - name: a\n    projects: [ACME, 10000, \"10001\"]\n"))
	if got := strings.Join(p.rules[0].projects, " "); got != "ACME 10000 10001" {
		t.Errorf("projects are %q", got)
	}
}

func TestCheckWarns(t *testing.T) {
	tests := []struct {
		name, rules string
		want        []string // a part of each warning
	}{
		{"nothing odd", "rules:\n  - {name: a, deny: [issue.delete]}\n", nil},
		{"successors alone", "successors: [createmeta.fields]\n", nil},
		{"nothing at all", "", []string{"changes nothing"}},
		{"successor that is off", "rules:\n  - {name: a, deny: [createmeta.fields, issue.delete]}\n", []string{`rule "a": createmeta.fields is off already`}},
		{"denied before", "rules:\n  - {name: a, deny: [issue.delete]}\n  - {name: b, clients: [x], deny: [issue.delete]}\n", []string{`rule "b": issue.delete is switched off for these calls already, by rule "a"`}},
		{"denied for others", "rules:\n  - {name: a, clients: [y], deny: [issue.delete]}\n  - {name: b, clients: [x], deny: [issue.delete]}\n", nil},
		{"denied for fewer", "rules:\n  - {name: a, clients: [y], deny: [issue.delete]}\n  - {name: b, deny: [issue.delete]}\n", nil},
		{"only reported before", "rules:\n  - {name: a, mode: report, deny: [issue.delete]}\n  - {name: b, deny: [issue.delete]}\n", nil},
		{"limit and what it cannot limit", "rules:\n  - {name: a, projects: [ACME]}\n", []string{
			`rule "a": the project limit does not touch myself.get, user.picker, priority.list`,
			`rule "a": under the project limit project.list on Jira Data Center and Server is refused`}},
		{"limit with these denied", "rules:\n  - {name: a, projects: [ACME], deny: [myself.get, user.picker, priority.list, project.list]}\n", nil},
		{"limits with nothing in common", "rules:\n" +
			"  - {name: a, projects: [ACME], deny: [myself.get, user.picker, priority.list, project.list]}\n" +
			"  - {name: b, connections: [acme], projects: [OPS, \"1\"], deny: [myself.get, user.picker, priority.list, project.list]}\n", []string{
			"myself.get is switched off", "user.picker is", "priority.list is", "project.list is",
			`rule "b": it and rule "a" share calls and no project`}},
		{"limits of different connections", "rules:\n" +
			"  - {name: a, connections: [one], projects: [ACME], deny: [myself.get, user.picker, priority.list, project.list]}\n" +
			"  - {name: b, connections: [two], projects: [OPS], deny: [myself.get, user.picker, priority.list, project.list]}\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Check([]byte("version: 1\n" + tt.rules))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("warning %q, want one with %q", got[i], tt.want[i])
				}
			}
		})
	}
}
