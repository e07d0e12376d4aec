package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fileFields are the settings that name a file.
func fileFields() (fields []reflect.StructField) {
	for f := range configFields() {
		if f.Tag.Get("type") == "file" {
			fields = append(fields, f)
		}
	}
	return fields
}

// TestLooseFilesAreRefused: whatever setting names a file, a gateway does not start where
// others could read a secret or change what it trusts. A new setting must say which.
func TestLooseFilesAreRefused(t *testing.T) {
	for _, f := range fileFields() {
		t.Run(variableOf(f), func(t *testing.T) {
			modes, ok := map[string]map[fs.FileMode]string{
				"secret":  {0o600: "", 0o440: "", 0o644: "run chmod o= ", 0o660: "run chmod g=r ", 0o606: "run chmod o= "},
				"trusted": {0o600: "", 0o440: "", 0o644: "", 0o664: "run chmod go-w ", 0o646: "run chmod go-w "},
			}[f.Tag.Get("holds")]
			if !ok {
				t.Fatalf("the tag holds is %q: it must say what the file holds", f.Tag.Get("holds"))
			}
			file := filepath.Join(t.TempDir(), "file")
			place(t, file, "content")
			c, _ := testConfig(t)
			reflect.ValueOf(&c).Elem().FieldByIndex(f.Index).SetString(file)
			for mode, want := range modes {
				if err := os.Chmod(file, mode); err != nil {
					t.Fatal(err)
				}
				if want == "" {
					if err := c.checkAccess(); err != nil {
						t.Errorf("mode %#o: %v", mode, err)
					}
					continue
				}
				s, err := Start(t.Context(), c, StartOptions{})
				if err == nil {
					t.Fatalf("mode %#o: it starts: %v", mode, s.Close(t.Context()))
				}
				if !strings.Contains(err.Error(), variableOf(f)+": ") || !strings.Contains(err.Error(), want+file) {
					t.Errorf("mode %#o: error %v, want one that says %s", mode, err, want)
				}
				if there, _ := exists(c.DataDir); there {
					t.Error("something was made all the same")
				}
			}
		})
	}
}

// A file of egress addresses is secret once it has a proxy's password: to the gateway, not
// to a command, which root may run beside the gateway of another user.
func TestEgressFileWithPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "egress")
	const plain, secret = "198.51.100.7=127.0.0.1\n", "198.51.100.7=https://user:S3cret@proxy.example:3128\n"
	owner := os.Geteuid()
	check := func(what, content string, mode fs.FileMode, want string) {
		t.Helper()
		place(t, file, content)
		if err := errors.Join(os.Chown(file, owner, -1), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig([]string{"JIRAGATE_EGRESS_FILE=" + file})
		if err != nil {
			t.Errorf("%s: a command is refused: %v", what, err)
		}
		if err := c.checkAccess(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "JIRAGATE_EGRESS_FILE: "+file) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", what, err, want)
		}
	}
	check("no password", plain, 0o644, "")
	check("a password", secret, 0o600, "")
	check("a password for everybody", secret, 0o644, "run chmod o= "+file)
	if os.Geteuid() != 0 {
		return // only root can make a file of another user
	}
	owner = 4711
	check("a password of another user", secret, 0o600, "uid 4711")
	check("another user's", plain, 0o600, "")
}

// A file of egress addresses that has got a password must be as a secret by then.
func TestReloadOfEgressFileWithPassword(t *testing.T) {
	g := newReloadStage(t)
	file := environment(g.environ)["JIRAGATE_EGRESS_FILE"]
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	place(t, file, string(before)+"\n198.51.100.77=https://user:S3cret@127.0.0.1:9\n")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := g.server.Reload(); err == nil || !strings.Contains(err.Error(), "JIRAGATE_EGRESS_FILE: "+file) || !strings.Contains(err.Error(), "run chmod o= ") {
		t.Errorf("error %v", err)
	}
}

// A file that has become loose is noticed when it is read again, and nothing is reloaded.
func TestReloadOfLooseFiles(t *testing.T) {
	g := newReloadStage(t)
	vars, tried := environment(g.environ), 0
	for _, f := range fileFields() {
		file := vars[variableOf(f)]
		if file == "" {
			continue
		}
		tried++
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		// The command reads the egress addresses, too.
		code, out, errs := run(t, g.environ, "", "reload")
		if code == exitOK || !strings.Contains(out+errs, "chmod") || !strings.Contains(out+errs, file) {
			t.Errorf("%s: exit code %d\n%s%s", variableOf(f), code, out, errs)
		}
		if err := g.server.Reload(); err == nil || !strings.Contains(err.Error(), "chmod") || !strings.Contains(err.Error(), file) {
			t.Errorf("%s, on SIGHUP: %v", variableOf(f), err)
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if tried != 11 {
		t.Errorf("%d files were tried", tried)
	}
	g.reload()
}

// TestLooseOwnFilesAreRefused: of all that a gateway has made in its data directory, only
// what is for everybody may be loose. The index, which can be made anew at any time, is
// mended.
func TestLooseOwnFilesAreRefused(t *testing.T) {
	c, environ := testConfig(t, "JIRAGATE_AUDIT_IDENTIFIERS=pseudonymise")
	s, _ := startServer(t, c)
	addConnection(t, environ, "globex")
	mustRun(t, environ, "", "audit", "query") // makes the index
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	const forEverybody, mended = "ca.pem", "audit-index.sqlite"
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range []string{"store.db", "keyset.json", "ca-key.pem", "audit-key.json", "audit-pseudonyms.json", "audit", "admin-token", forEverybody, mended} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s: %q", name, names)
		}
	}
	for _, name := range append(names, ".") {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(c.DataDir, name)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, info.Mode()|0o044); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := os.Chmod(path, info.Mode()); err != nil {
					t.Error(err)
				}
			}()
			s, err := Start(t.Context(), c, StartOptions{})
			if name == forEverybody || name == mended {
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the index is mended", func() bool {
					info, err := os.Stat(path)
					return err == nil && (name == forEverybody || info.Mode().Perm() == 0o600)
				})
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatalf("it starts: %v", s.Close(t.Context()))
			}
			h, _ := errors.AsType[*hinted](err)
			if said := err.Error(); !strings.Contains(said, "chmod") && (h == nil || !strings.Contains(h.hint, "chmod")) {
				t.Errorf("error %v, want one that says chmod", err)
			}
		})
	}
}

// A data directory of another user is refused also where there is no store in it yet. Only
// root could use one.
func TestDataDirOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if err := prepareDataDir("/"); err == nil {
			t.Error("that of root is taken")
		}
		return
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := prepareDataDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if err := prepareDataDir(dir); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("error %v", err)
	}
}
