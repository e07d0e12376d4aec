package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/internal/etcdlab"
)

// cluster starts etcd, and returns the addresses of two stores there, and how they are reached.
func cluster(t *testing.T) (first, second string, environ []string) {
	t.Helper()
	c := etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(c.Password()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := "etcd://" + strings.TrimPrefix(c.Endpoints()[0], "https://") + c.Prefix()
	return at + "first", at + "second", []string{
		"JIRAGATE_STORE_CA_FILE=" + c.CAFile(),
		"JIRAGATE_STORE_USER=" + c.User(),
		"JIRAGATE_STORE_PASSWORD_FILE=" + password,
	}
}

// mustFail runs a command that is to fail, and checks that it says why.
func mustFail(t *testing.T, environ []string, code int, says string, args ...string) {
	t.Helper()
	got, _, stderr := run(t, environ, "", args...)
	if got != code || !strings.Contains(stderr, says) {
		t.Errorf("jiragate %s: exit code %d, want %d with %q\n%s", strings.Join(args, " "), got, code, says, stderr)
	}
}

// A store is moved from its file into etcd and back, on record.
func TestStoreMigrate(t *testing.T) {
	first, second, reach := cluster(t)
	c, environ := testConfig(t, reach...)
	addConnection(t, environ, "globex")
	file := "bolt:" + c.storeFile()
	shared := append(environ, "JIRAGATE_STORE="+first)

	out := mustRun(t, environ, "", "store", "migrate", "--from", file, "--to", first)
	for _, want := range []string{"connections", "data_keys", "set JIRAGATE_STORE=" + first} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	mustFail(t, environ, 1, "the store was moved to "+first, "connection", "list")
	if out := mustRun(t, shared, "", "connection", "list"); !strings.Contains(out, "globex") {
		t.Errorf("the connection is not there: %s", out)
	}
	mustRun(t, shared, "", "store", "check")
	if out := mustRun(t, environ, "", "audit", "query", "--operation", "admin.store.migrate", "--output", "json"); strings.Count(out, `"decision":"allow"`) == 0 {
		t.Errorf("it is not on record: %s", out)
	}
	mustFail(t, environ, 1, "was moved", "store", "migrate", "--from", file, "--to", second)

	out = mustRun(t, shared, "", "store", "migrate", "--from", first, "--to", file)
	if !strings.Contains(out, "is now "+c.storeFile()+".moved-") {
		t.Errorf("it does not say where the old file is:\n%s", out)
	}
	mustFail(t, shared, 1, "the store was moved to "+file, "connection", "list")
	mustRun(t, environ, "", "store", "check")
}

// A backup of a store in etcd is restored into a file, and that is moved to where nothing is.
func TestStoreRestoreIntoEtcd(t *testing.T) {
	first, second, reach := cluster(t)
	c, environ := testConfig(t, reach...)
	addConnection(t, environ, "globex")
	mustRun(t, environ, "", "store", "migrate", "--from", "bolt:"+c.storeFile(), "--to", first)
	shared := append(environ, "JIRAGATE_STORE="+first)
	backup := filepath.Join(t.TempDir(), "backup.db")
	mustRun(t, shared, "", "store", "backup", backup)

	mustFail(t, shared, 1, "jiragate store migrate --from bolt:FILE", "store", "restore", backup)
	// Into the file that was moved away, for one.
	mustRun(t, environ, "", "store", "restore", backup)
	mustRun(t, environ, "", "store", "check")
	mustFail(t, environ, 1, "choose another prefix", "store", "migrate", "--from", "bolt:"+c.storeFile(), "--to", first)
	mustRun(t, environ, "", "store", "migrate", "--from", "bolt:"+c.storeFile(), "--to", second)
	if out := mustRun(t, append(environ, "JIRAGATE_STORE="+second), "", "connection", "list"); !strings.Contains(out, "globex") {
		t.Errorf("the connection is not there: %s", out)
	}
}

// No gateway may be at work, on this machine or another one.
func TestStoreMigrateWhileAGatewayRuns(t *testing.T) {
	first, second, reach := cluster(t)
	c, environ := testConfig(t, append(reach, "JIRAGATE_STORE="+first, "JIRAGATE_NODE=node-7")...)
	s, _ := startServer(t, c)
	mustFail(t, environ, 1, "stop the gateway first", "store", "migrate", "--from", first, "--to", second)

	elsewhere, environ := testConfig(t, append(reach, "JIRAGATE_KEY_URI=file:"+filepath.Join(c.DataDir, "keyset.json"))...)
	mustFail(t, environ, 1, "node-7", "store", "migrate", "--from", first, "--to", "bolt:"+elsewhere.storeFile())
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, environ, "", "store", "migrate", "--from", first, "--to", "bolt:"+elsewhere.storeFile())
}

func TestStoreMigrateUsage(t *testing.T) {
	_, environ := testConfig(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	mustFail(t, environ, exitUsage, "are the same", "store", "migrate", "--from", "bolt:"+dir+"/a", "--to", "bolt:"+dir+"/other/a")
	mustFail(t, environ, exitUsage, "below the other", "store", "migrate", "--from", "etcd://etcd-1/jiragate", "--to", "etcd://etcd-1/jiragate/2")
	mustFail(t, environ, exitUsage, "below the other", "store", "migrate", "--from", "etcd://etcd-1/jiragate/2", "--to", "etcd://etcd-1/jiragate")
	for _, node := range []string{"", ".", ".."} {
		mustFail(t, environ, exitUsage, "no name of a gateway", "audit", "nodes", "retire", node)
	}
	for says, args := range map[string][]string{
		"--from is needed":      {"--to", "bolt:b"},
		"--to is needed":        {"--from", "bolt:a"},
		"--from: it must be":    {"--from", "a", "--to", "bolt:b"},
		"are the same":          {"--from", "bolt:a", "--to", "bolt:./a"},
		"needs a prefix":        {"--from", "bolt:a", "--to", "etcd://etcd-1"},
		"JIRAGATE_STORE_USER":   {"--from", "bolt:a", "--to", "etcd://u:p@etcd-1/jiragate"},
		"the path of a file":    {"--from", "bolt:", "--to", "bolt:b"},
		"the prefix must be pl": {"--from", "bolt:a", "--to", "etcd://etcd-1/jiragate/"},
	} {
		mustFail(t, environ, exitUsage, says, append([]string{"store", "migrate"}, args...)...)
	}
	mustFail(t, environ, exitFailure, "JIRAGATE_KEY_URI", "store", "migrate", "--from", "bolt:a", "--to", "bolt:b")
}
