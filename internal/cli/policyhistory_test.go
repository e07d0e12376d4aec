package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/policy"
)

// A policy that can't be kept doesn't come into force, and one that stayed in
// force is the last on record; once there is room, the same file is taken.
func TestAPolicyThatCannotBeKeptDoesNotComeIntoForce(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(name string) string {
		t.Helper()
		text := []byte("version: 1\nrules:\n  - {name: " + name + ", deny: [issue.delete]}\n")
		if err := os.WriteFile(rules, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := policy.New(text)
		if err != nil {
			t.Fatal(err)
		}
		return p.SHA256()
	}
	first := write("first")
	c, environ := testConfig(t)
	c.PolicyFile = rules
	dir := filepath.Join(c.auditDir(), "policies")
	s, err := Start(t.Context(), c, StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if out := mustRun(t, environ, "", "policy", "history"); strings.Count(out, first) != 1 {
		t.Errorf("the first policy is not kept once:\n%s", out)
	}

	second := write("second")
	// A folder in the place of the file stands for every reason.
	if err := os.Mkdir(filepath.Join(dir, second+".policy"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "doesn't come into force") || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("the policy was taken: %v", err)
	}
	if now := s.policy.current.Load().SHA256(); now != first {
		t.Errorf("in force is %s, want %s", now, first)
	}
	if last, _ := lastPolicy(c.auditDir()); last != first {
		t.Errorf("the last policy on record is %s, want %s", last, first)
	}

	if err := os.Remove(filepath.Join(dir, second+".policy")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if last, _ := lastPolicy(c.auditDir()); last != second {
		t.Errorf("the last policy on record is %s, want %s", last, second)
	}
	if out := mustRun(t, environ, "", "policy", "diff", first, second); !strings.Contains(out, "in all  the same calls are allowed") {
		t.Errorf("from the first to the second:\n%s", out)
	}
}

// Text of a kept catalogue that could steer a terminal is shown, not obeyed.
func TestKeptTextDoesNotSteerTheTerminal(t *testing.T) {
	c, environ := testConfig(t)
	catalogue := []byte("version: \"1\\e[31m\"\noperations: [{id: \"a\\e[2J\\u202e\", purpose: \"b\\ec\", datacenter: {method: GET, path: /rest/api/2/a, projects: none}}]\n")
	archive := append(append([]byte{0, 0, 0, 0, 0, 0, 0, byte(len(catalogue))}, catalogue...), make([]byte, 8)...)
	p, err := policy.FromArchive(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := keepPolicy(c, p); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"history"}, {"history", "--output", "json"}, {"diff", p.SHA256(), currentPolicy}, {"diff", currentPolicy, p.SHA256(), "--output", "json"}}
	for _, format := range policy.ExportFormats() {
		commands = append(commands, []string{"show", p.SHA256(), "--format", format})
	}
	for _, args := range commands {
		out := mustRun(t, environ, "", append([]string{"policy"}, args...)...)
		if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, "31m") {
			t.Errorf("%v: %q", args, out)
		}
	}
}

// Looking at policies makes nothing.
func TestPolicyHistoryMakesNoDataDirectory(t *testing.T) {
	c, environ := testConfig(t)
	before, errBefore := os.ReadDir(c.DataDir)
	mustRun(t, environ, "", "policy", "history", "--output", "json")
	mustRun(t, environ, "", "policy", "show", currentPolicy)
	after, errAfter := os.ReadDir(c.DataDir)
	if len(before) != len(after) || errors.Is(errBefore, fs.ErrNotExist) != errors.Is(errAfter, fs.ErrNotExist) {
		t.Errorf("the data directory holds %v (%v), before %v (%v)", after, errAfter, before, errBefore)
	}
}
