package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is that of the repository, from this folder.
const root = "../.."

// testVersion is the version that the tests give to what they build.
const testVersion = "v1.2.3"

// checkout makes a repository of one commit, tagged as a release, of the files as they
// are now: also of those that are not committed, so that the tests say something
// before the commit. Every checkout has the same commit, wherever it is.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	names := command(t, root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for _, name := range strings.Split(strings.TrimSuffix(names, "\x00"), "\x00") {
		from, to := filepath.Join(root, name), filepath.Join(dir, name)
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	who := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=2026-11-28T10:00:00Z",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-11-28T10:00:00Z"}
	command(t, dir, who, "git", "init", "--quiet", "--initial-branch=main")
	command(t, dir, who, "git", "add", "--all")
	command(t, dir, who, "git", "commit", "--quiet", "--message=release")
	command(t, dir, who, "git", "tag", testVersion)
	return dir
}

func command(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environ...)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, failure.String())
	}
	return string(out)
}

// keys makes a key pair as the documentation says.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	private, public = filepath.Join(dir, "release.key"), filepath.Join(dir, "release.pub")
	command(t, dir, nil, "openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
	command(t, dir, nil, "openssl", "pkey", "-in", private, "-pubout", "-out", public)
	return private, public
}
