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
	for name, tt := range map[string]struct{ text, want string }{
		"empty file":              {"", "policy rules: it is empty; begin with a version"},
		"only spaces":             {"  \n", "policy rules: it is empty; begin with a version"},
		"only the end of a text":  {"...\n", "policy rules: it is empty; begin with a version"},
		"not UTF-8":               {"version: 1 # \xff\n", "policy rules: it is not valid UTF-8; save it as UTF-8"},
		"UTF-16":                  {"\xff\xfev\x00e\x00", "policy rules: it is not valid UTF-8; save it as UTF-8"},
		"not UTF-8, and no YAML":  {"version: [\xff", "policy rules: it is not valid UTF-8; save it as UTF-8"},
		"over one MiB":            {"version: 1\n#" + strings.Repeat("x", 1<<20-11), "policy rules: it has 1048577 bytes; at most 1048576 are read"},
		"over one MiB of no YAML": {"version: [" + strings.Repeat(" ", 1<<20), "policy rules: it has 1048586 bytes; at most 1048576 are read"},
		"only a NUL":              {"\x00", "policy rules, line 1, column 1: the document must be a mapping (key: value)"},
	} {
		if _, err := New([]byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error\n%v\nwant\n%s", name, err, tt.want)
		}
	}
	if _, err := Check(nil); err == nil {
		t.Error("Check(nil): no error, although a file that is not there cannot be right")
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - name: 2.50\n    projects: [ACME, 10000, \"10001\"]\n"))
	d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/OPS"})
	if want := `(the operator's rule "2.50" allows: ACME, 10000, 10001)`; !strings.HasSuffix(d.Detail, want) {
		t.Errorf("refused with %q, want %q at the end", d.Detail, want)
	}
}
