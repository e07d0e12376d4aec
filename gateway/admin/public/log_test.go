package public_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"jiragate/gateway/admin/public"
)

func TestLog(t *testing.T) {
	g := pinned()
	g.rotate(2)
	g.attest(1204711)
	h := g.handler(t, "/")
	page := text(parsed(t, read(t, h, "/")))
	for _, want := range append([]string{"1,204,711", "27 Nov 2026 06:29:58 UTC", "Earlier keys", "jiragate 1.2.3"}, g.verifiers...) {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	var values []string
	root := parsed(t, read(t, h, "/"))
	for _, n := range elements(root, atom.Dd) {
		values = append(values, text(n))
	}
	if root := strings.Split(string(g.checkpoint), "\n")[2]; !slices.Contains(values, root) {
		t.Errorf("the page does not show the root %s", root)
	}
	if earlier := elements(elements(root, atom.Details)[0], atom.Li); len(earlier) != 1 || text(earlier[0]) != g.verifiers[0] {
		t.Errorf("%d earlier keys", len(earlier))
	}
	if got, want := read(t, h, "/audit/audit-key.txt"), strings.Join(g.verifiers, "\n")+"\n\n"+string(g.pem); got != want {
		t.Errorf("the keys are %q, want %q", got, want)
	}
	if read(t, h, "/audit/audit-key.pem") != string(g.pem) || read(t, h, "/audit/latest.checkpoint") != string(g.checkpoint) {
		t.Error("the files are others")
	}

	g.locked(func() { g.attest(1204712) })
	g.advance(public.Every)
	if read(t, h, "/audit/latest.checkpoint") != string(g.checkpoint) {
		t.Error("the checkpoint is an old one")
	}
}

// What is wrong with the log is said, and keeps nobody from the addresses.
func TestLogThatCannotBeShown(t *testing.T) {
	for name, test := range map[string]struct {
		change func(g *gateway)
		says   string
	}{
		"no checkpoint yet":          {func(g *gateway) { g.checkpoint = nil }, "There is none yet."},
		"a checkpoint of another":    {func(g *gateway) { g.rotate(3); g.attest(7); g.verifiers = g.verifiers[:1] }, "The checkpoint can’t be shown at the moment"},
		"no checkpoint at all":       {func(g *gateway) { g.checkpoint = []byte("1204711") }, "The checkpoint can’t be shown at the moment"},
		"a checkpoint is unreadable": {func(g *gateway) { g.pointFailing = errOut }, "The checkpoint can’t be shown at the moment"},
		"the key is unreadable":      {func(g *gateway) { g.keyFailing = errOut }, "The key can’t be read at the moment."},
	} {
		t.Run(name, func(t *testing.T) {
			g := pinned()
			test.change(g)
			h := g.handler(t, "/")
			page := text(parsed(t, read(t, h, "/")))
			if !strings.Contains(page, test.says) || !strings.Contains(page, "52.54.159.237") {
				t.Errorf("the page does not say %q", test.says)
			}
			if answer := ask(h, "GET", "/audit/latest.checkpoint"); answer.StatusCode != http.StatusNotFound {
				t.Errorf("a checkpoint is served: %d", answer.StatusCode)
			}
			if strings.Contains(page, errOut.Error()) {
				t.Error("the page shows the error")
			}
		})
	}
}

// The commands on the page do what it says, with the files that it serves.
func TestCommands(t *testing.T) {
	for _, tool := range []string{"sh", "openssl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the commands on the page can't be tried: %v", err)
		}
	}
	g := pinned()
	g.rotate(2)
	g.attest(1204711)
	h := g.handler(t, "/")
	page := parsed(t, read(t, h, "/"))
	dir := t.TempDir()
	for _, n := range elements(page, atom.A) {
		if link := attribute(n, "href"); strings.HasPrefix(link, "/files/") || strings.HasPrefix(link, "/audit/") {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(link)), []byte(read(t, h, link)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	run := func() (failed []string) {
		for _, n := range elements(page, atom.Pre) {
			var b strings.Builder
			for c := range n.Descendants() {
				if c.Type == html.TextNode {
					b.WriteString(c.Data)
				}
			}
			script := b.String()
			if attribute(n, "id") != "" || strings.HasPrefix(script, "jiragate ") {
				continue
			}
			cmd := exec.Command("sh", "-ec", script)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil && strings.Contains(script, "openssl") && !strings.Contains(string(out), "Signature Verified Successfully") {
				t.Errorf("%s\n%s", script, out)
			}
			if err != nil {
				failed = append(failed, script+"\n"+string(out))
			}
		}
		return failed
	}
	if failed := run(); len(failed) > 0 {
		t.Errorf("%q", failed)
	}
	for _, name := range []string{"egress.nft", "SHA256SUMS", "latest.checkpoint"} {
		path := filepath.Join(dir, name)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		forged := slices.Clone(was)
		forged[len("jiragate/us\n")] ^= 1
		if err := os.WriteFile(path, forged, 0o600); err != nil {
			t.Fatal(err)
		}
		if failed := run(); len(failed) == 0 {
			t.Errorf("a forged %s passes", name)
		}
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
