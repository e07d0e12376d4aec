package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPolicyFileOfOperatorsPage: the example in docs/operators.md is in order, and checking it
// says what the page shows.
func TestPolicyFileOfOperatorsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```").FindSubmatch(page)
	shown := regexp.MustCompile(`(?s)\$ jiragate policy check rules\.yaml\n(.*?)` + "```").FindSubmatch(page)
	if example == nil || shown == nil {
		t.Fatal("docs/operators.md has no policy file, or doesn't check it")
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, example[1], 0o600); err != nil {
		t.Fatal(err)
	}
	_, environ := testConfig(t)
	_, stdout, stderr := run(t, environ, "", "policy", "check", file)
	said := strings.ReplaceAll(stderr+stdout, file, "rules.yaml")
	for line := range strings.Lines(string(shown[1])) {
		if line != "…\n" && !strings.Contains(said, line) {
			t.Errorf("the page shows %q; it says\n%s", line, said)
		}
	}
}
