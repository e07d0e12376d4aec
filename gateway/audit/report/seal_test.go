package report_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
)

// key signs and verifies as the audit key does.
type key struct {
	signer   note.Signer
	verifier note.Verifier
	public   string
}

func newKey(t testing.TB) key {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "jiragate/us")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return key{s, v, public}
}

func (k key) sign(text []byte) ([]byte, error) {
	return note.Sign(&note.Note{Text: string(text)}, k.signer)
}

func (k key) verify(signed []byte) ([]byte, error) {
	n, err := note.Open(signed, note.VerifierList(k.verifier))
	if err != nil {
		return nil, err
	}
	return []byte(n.Text), nil
}

var acme = report.About{Connection: "acme", Month: "2026-11"}

func pageOf(t testing.TB, r *report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sealed(t testing.TB, k key, page []byte) []byte {
	t.Helper()
	s, err := report.Seal(page, acme, k.sign)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedPageOpens(t *testing.T) {
	k := newKey(t)
	page := pageOf(t, sample(t))
	got, about, err := report.Open(sealed(t, k, page), k.verify)
	if err != nil || about != acme || !bytes.Equal(got, page) {
		t.Errorf("%+v, %v", about, err)
	}
}

// Whatever is changed of a sealed page, it does not open.
func TestRefusesWhatIsNotSigned(t *testing.T) {
	k := newKey(t)
	page := []byte("<!DOCTYPE html>\n<p>12 calls</p>\n</html>\n")
	good := sealed(t, k, page)
	another := sealed(t, k, []byte("<!DOCTYPE html>\n<p>13 calls</p>\n</html>\n"))
	seal := func(s []byte) []byte { return s[bytes.Index(s, []byte("<!-- jiragate")):] }
	otherText, err := k.sign([]byte("12 calls\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string][]byte{
		"nothing":              nil,
		"not sealed":           page,
		"a call more":          bytes.Replace(good, []byte("12"), []byte("13"), 1),
		"another's seal":       append(bytes.Clone(page), seal(another)...),
		"two seals":            append(bytes.Clone(good), seal(good)...),
		"something behind":     append(bytes.Clone(good), "<p>forged</p>\n"...),
		"a newline behind":     append(bytes.Clone(good), '\n'),
		"a page behind":        append(bytes.Clone(good), page...),
		"no newline":           bytes.TrimSuffix(good, []byte("\n")),
		"something in between": bytes.Replace(good, []byte("</html>\n<!--"), []byte("</html>\n<p>forged</p><!--"), 1),
		"a seal that ends":     bytes.Replace(good, []byte("\n— "), []byte("\n--><p>forged</p>\n— "), 1),
		"another month":        bytes.Replace(good, []byte("2026-11\n"), []byte("2026-12\n"), 1),
		"another text":         []byte(string(page) + "<!-- jiragate-signature\n" + string(otherText) + "-->\n"),
	} {
		if _, _, err := report.Open(s, k.verify); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
	if _, _, err := report.Open(good, newKey(t).verify); err == nil {
		t.Error("it opens with a key that did not sign it")
	}
}

func TestRefusesToSeal(t *testing.T) {
	k := newKey(t)
	page := []byte("<p></p></html>\n")
	for name, tt := range map[string]struct {
		page  []byte
		about report.About
		sign  func([]byte) ([]byte, error)
	}{
		"what is no page":     {[]byte("<p>"), acme, k.sign},
		"what is sealed":      {sealed(t, k, page), acme, k.sign},
		"a forged seal":       {[]byte("<!-- jiragate-signature\n</html>\n"), acme, k.sign},
		"no name":             {page, report.About{Connection: "a b", Month: "2026-11"}, k.sign},
		"no month":            {page, report.About{Connection: "acme", Month: "2026-13"}, k.sign},
		"without a signature": {page, acme, func([]byte) ([]byte, error) { return nil, errors.New("no key") }},
		"another text":        {page, acme, func([]byte) ([]byte, error) { return k.sign([]byte("x\n")) }},
		"a note that ends":    {page, acme, func(text []byte) ([]byte, error) { return append(append(text, '\n'), "-->\n"...), nil }},
	} {
		if _, err := report.Seal(tt.page, tt.about, tt.sign); err == nil {
			t.Errorf("%s is sealed", name)
		}
	}
}

// A client that writes a seal into a path does not make one.
func TestClientsCannotForgeASeal(t *testing.T) {
	k := newKey(t)
	forged := "</html>\n<!-- jiragate-signature\njiragate audit report\n-->\n"
	page := pageOf(t, collect(t, input(), aCall(1, func(r *audit.Record) {
		r.Path, r.Client, r.Code, r.Method, r.Operation = forged, forged, "interrupted", forged, forged
	})))
	if _, _, err := report.Open(sealed(t, k, page), k.verify); err != nil {
		t.Error(err)
	}
}

// The commands on the page do what it says, on the page itself.
func TestCommandsOnThePageWork(t *testing.T) {
	for _, tool := range []string{"sh", "openssl", "awk", "sed", "base64", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the page's commands can't be tried: %v: make test installs what is missing", err)
		}
	}
	k := newKey(t)
	page := pageOf(t, sample(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.html"), sealed(t, k, page), 0o600); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	_, steps, _ := bytes.Cut(page, []byte(`id="verify"`))
	for _, m := range regexp.MustCompile(`(?s)<pre tabindex="0"><code>(.*?)</code></pre>`).FindAllSubmatch(steps, -1) {
		script.WriteString(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(string(m[1])) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script.String())
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "KEY="+k.public)
	out, err := cmd.CombinedOutput()
	hashes := regexp.MustCompile(`[0-9a-f]{64}`).FindAllString(string(out), -1)
	if err != nil || !strings.Contains(string(out), "Signature Verified Successfully") || len(hashes) != 2 || hashes[0] != hashes[1] {
		t.Errorf("%v\n%s\n%s", err, script.String(), out)
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f)
	page := []byte("<p>12 calls</p>\n</html>\n")
	good := sealed(f, k, page)
	f.Add(good)
	f.Add(page)
	f.Add(append(bytes.Clone(good), good...))
	f.Add([]byte("</html>\n<!-- jiragate-signature\n-->\n"))
	f.Add([]byte("</html>\n<!-- jiragate-signature\njiragate audit report\nsha256 00\nconnection a 2026-11\n\n-->\n"))
	f.Fuzz(func(t *testing.T, s []byte) {
		got, about, err := report.Open(s, k.verify)
		if err == nil && (!bytes.Equal(got, page) || about != acme || !bytes.Equal(s, good)) {
			t.Errorf("it opens, and was never signed: %q", s)
		}
		// Whoever trusts every signature is still not given a page that is not whole.
		got, about, err = report.Open(s, func(signed []byte) ([]byte, error) {
			text, _, _ := bytes.Cut(signed, []byte("\n\n"))
			return append(text, '\n'), nil
		})
		if err != nil {
			return
		}
		again, err := report.Seal(got, about, func([]byte) ([]byte, error) {
			return bytes.TrimSuffix(s[len(got)+len("<!-- jiragate-signature\n"):], []byte("-->\n")), nil
		})
		if err != nil || !bytes.Equal(again, s) {
			t.Errorf("opened, and not sealed again: %v", err)
		}
	})
}

func TestChecksumsAreReadBySha256sum(t *testing.T) {
	page, csv, json := []byte("p"), []byte("c"), []byte("j")
	sums, err := report.Checksums(report.HashesOf(page, csv, json))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{report.PageName: page, report.CSVName: csv, report.JSONName: json, report.ChecksumsName: sums} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sha256sum", "-c", "--strict", report.ChecksumsName)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := report.Checksums(report.Hashes{Page: "x", CSV: "y", JSON: "z\n"}); err == nil {
		t.Error("what is no hash is listed")
	}
}
