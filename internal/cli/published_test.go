package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/internal/etcdlab"
)

func TestStoreAsPlaceOfCheckpointsIsShared(t *testing.T) {
	const etcd = "JIRAGATE_AUDIT_CHECKPOINT_TO=store JIRAGATE_STORE=etcd://a/jiragate "
	for set, want := range map[string]string{
		"JIRAGATE_AUDIT_CHECKPOINT_TO=store JIRAGATE_NODE=zone-a": "store is for a store that gateways share",
		etcd:                           "store needs JIRAGATE_NODE",
		etcd + " JIRAGATE_NODE=zone-a": "",
	} {
		_, err := ParseConfig(strings.Fields(set))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// fleetNode is a gateway among several that share a store.
type fleetNode struct {
	t       *testing.T
	environ []string
	data    string
}

func (n fleetNode) log() string { return filepath.Join(n.data, "audit") }

// serve is one run of the gateway, in which it records something, with more settings.
func (n fleetNode) serve(clients string, more ...string) {
	n.t.Helper()
	environ := append(slices.Clone(n.environ), more...)
	c, err := ParseConfig(environ)
	if err != nil {
		n.t.Fatal(err)
	}
	s, err := Start(n.t.Context(), c, StartOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	for name := range strings.FieldsSeq(clients) {
		mustRun(n.t, environ, "", "client", "add", name)
	}
	if err := s.Close(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

// What is published in the store tells of each log that was left out, cut off or written
// anew, also where whoever did it has the key of its node.
func TestLogsAreComparedWithWhatWasPublished(t *testing.T) {
	lab := etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(lab.Password()), 0o600); err != nil {
		t.Fatal(err)
	}
	node := func(name string) fleetNode {
		data := filepath.Join(dir, name)
		return fleetNode{t, []string{
			"JIRAGATE_STORE=etcd://" + strings.TrimPrefix(lab.Endpoints()[0], "https://") + lab.Prefix() + "fleet", "JIRAGATE_STORE_CA_FILE=" + lab.CAFile(),
			"JIRAGATE_STORE_USER=" + lab.User(), "JIRAGATE_STORE_PASSWORD_FILE=" + password,
			"JIRAGATE_KEY_URI=file:" + filepath.Join(dir, "keyset.json"), "JIRAGATE_DATA_DIR=" + data, "JIRAGATE_NODE=" + name,
			"JIRAGATE_AUDIT_CHECKPOINT_TO=store", "JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0",
		}, data}
	}
	a, b := node("zone-a"), node("zone-b")
	a.serve("billing crm")
	b.serve("retro wiki")
	addConnection(t, a.environ, "acme")

	verify := func(want string, more ...string) string {
		t.Helper()
		code, out, stderr := run(t, a.environ, "", append([]string{"audit", "verify", "--checkpoints", "store"}, more...)...)
		if (code == 0) != (want == "") || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, and it does not say %q:\n%s%s", code, want, out, stderr)
		}
		return out + stderr
	}
	both := []string{"--log", a.log(), "--log", b.log()}
	if out := mustRun(t, a.environ, "", "audit", "nodes"); !strings.Contains(out, "zone-a") || !strings.Contains(out, "zone-b") || strings.Count(out, "this one") != 1 {
		t.Error(out)
	}
	verify("", both...)
	whole := filepath.Join(dir, "whole")
	copyLog(t, b.log(), whole)
	month := time.Now().UTC().Format("2006-01")
	report := func() string {
		_, out, stderr := run(t, a.environ, "", "audit", "report", "--connection", "acme", "--month", month, "--checkpoints", "store", "--log", a.log())
		return out + stderr
	}

	t.Run("left out", func(t *testing.T) {
		verify("node zone-b: no log was given of a node that has published checkpoints", "--log", a.log())
		verify("node zone-b: no log was given")
		if out := report(); !strings.Contains(out, "The log of zone-b is missing") || !strings.Contains(out, "alert, log_absent: The log of node zone-b is not among those") {
			t.Error(out)
		}
	})
	t.Run("exported", func(t *testing.T) {
		to := filepath.Join(dir, "exported")
		mustRun(t, a.environ, "", "audit", "nodes", "--export", to)
		mustRun(t, a.environ, "", append([]string{"audit", "verify", "--checkpoints", to}, both...)...)
		if code, _, stderr := run(t, a.environ, "", "audit", "verify", "--checkpoints", to, "--log", a.log()); code == 0 || !strings.Contains(stderr, "zone-b") || !strings.Contains(stderr, "not signed by a trusted key") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	})

	replace := func(from string) {
		t.Helper()
		if err := os.RemoveAll(b.log()); err != nil {
			t.Fatal(err)
		}
		if from != "" {
			copyLog(t, from, b.log())
		}
	}
	elsewhere := "JIRAGATE_AUDIT_CHECKPOINT_TO=" // the past that is signed here isn't published
	t.Run("written anew, shorter", func(t *testing.T) {
		replace("")
		b.serve("", elsewhere)
		mustRun(t, b.environ, "", "audit", "verify") // it stands by itself
		verify("node zone-b: the audit log fails", both...)
	})
	t.Run("written anew, longer", func(t *testing.T) {
		replace("")
		b.serve("one two three four five six", elsewhere)
		mustRun(t, b.environ, "", "audit", "verify")
		if out := verify("node zone-b: the audit log fails", both...); !strings.Contains(out, `the checkpoint that \"zone-b\" published`) && !strings.Contains(out, `the checkpoint that "zone-b" published`) {
			t.Error(out)
		}
	})
	t.Run("by another key of that name", func(t *testing.T) {
		replace("")
		key := filepath.Join(b.data, "audit-key.json")
		text, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		b.serve("seven", elsewhere)
		verify("not signed by a trusted key", both...)
		if err := os.WriteFile(key, text, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	replace(whole)
	verify("", both...)

	t.Run("retired", func(t *testing.T) {
		mustRun(t, a.environ, "", "audit", "nodes", "retire", "zone-b")
		for name, want := range map[string]string{"zone-a": "this very node", "zone-x": "no node"} {
			if code, _, stderr := run(t, a.environ, "", "audit", "nodes", "retire", name); code == 0 || !strings.Contains(stderr, want) {
				t.Errorf("%s: exit code %d, %s", name, code, stderr)
			}
		}
		if out := verify("", "--log", a.log()); !strings.Contains(out, "node zone-b: no log was given; it was retired on") {
			t.Error(out)
		}
		if out := report(); !strings.Contains(out, "The log of zone-b is missing") || !strings.Contains(out, "The gateway has ended since, on purpose.") || strings.Contains(out, "alert, log_absent") {
			t.Error(out)
		}
		if out := mustRun(t, a.environ, "", "audit", "query", "--operation", "admin.audit.node.retire", "--output", "json"); !strings.Contains(out, "/v1/audit/nodes/zone-b/retire") {
			t.Errorf("it is not on record: %s", out)
		}
		if out := mustRun(t, a.environ, "", "audit", "nodes", "--output", "json"); !strings.Contains(out, `"by": "zone-a"`) {
			t.Error(out)
		}
		replace("")
		b.serve("", elsewhere) // a log that is given must hold all of it, as ever
		verify("node zone-b: the audit log fails", both...)
	})
	t.Run("not retired any more", func(t *testing.T) {
		replace(whole)
		b.serve("again")
		verify("node zone-b: no log was given", "--log", a.log())
		verify("", both...)
	})
}

// copyLog keeps the modes, without which no gateway goes on with a log.
func copyLog(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
