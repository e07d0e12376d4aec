package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	repository = "../../.."
	epoch      = "1764288000" // 2025-11-28T00:00:00Z
)

// environ is the environment of the test with a time that isn't that of a commit.
func environ(more ...string) []string {
	return append(append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch), more...)
}

// makeImage makes an image, and returns what is printed.
func makeImage(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out, environ()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// From two copies of the source, in two folders, come the same bytes.
func TestSameBytes(t *testing.T) {
	made := map[string][]byte{}
	printed := ""
	for i, place := range []string{"one", "another/and/deeper"} {
		source, out := filepath.Join(t.TempDir(), place), filepath.Join(t.TempDir(), place)
		copySource(t, source)
		said := makeImage(t, "-source", source, "-o", out, "-platform", "linux/amd64")
		files := contents(t, out)
		if i == 0 {
			made, printed = files, said
			continue
		}
		if said != printed {
			t.Errorf("first\n%s\nthen\n%s", printed, said)
		}
		if !maps.EqualFunc(files, made, bytes.Equal) {
			t.Errorf("other files, or with other contents: %v, and %v", slices.Sorted(maps.Keys(made)), slices.Sorted(maps.Keys(files)))
		}
	}
	if !strings.Contains(printed, strings.TrimSpace(string(made["digest"]))+"  index") {
		t.Errorf("the digest %s is not what is printed:\n%s", made["digest"], printed)
	}
}

// copySource copies the source without its history and without what is made in it, so
// that the program has no commit in it.
func copySource(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".tools", "data", "deploy", "docs", "image-results", "soak-results", "bench-results"}, rel) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if !d.Type().IsRegular() || rel == "jiragate" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readLayout returns the images in an OCI layout by platform, all digests checked.
func readLayout(t *testing.T, dir string) map[string]v1.Image {
	t.Helper()
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	tops, err := outer.IndexManifest()
	if err != nil || len(tops.Manifests) != 1 {
		t.Fatalf("%v, %v", tops, err)
	}
	index, err := outer.ImageIndex(tops.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		if images[d.Platform.String()], err = index.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

// The index has each platform with the program that belongs to it, and all is valid by
// the digests; the files for docker load are the same images.
func TestIndex(t *testing.T) {
	dir := t.TempDir()
	programs := map[string]string{"linux/amd64": "the program of amd64", "linux/arm64": "the program of arm64"}
	args := []string{"-source", repository, "-o", dir, "-name", "example/jiragate:1.2.3"}
	for platform, content := range programs {
		file := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-binary", platform+"="+file)
	}
	makeImage(t, args...)
	tag, err := name.NewTag("example/jiragate:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	images := readLayout(t, filepath.Join(dir, "oci"))
	if got := slices.Sorted(maps.Keys(images)); !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %v", got)
	}
	for platform, img := range images {
		if got := read(t, img)["usr/local/bin/jiragate"].content; string(got) != programs[platform] {
			t.Errorf("%s has %q", platform, got)
		}
		checkSettings(t, img)
		loadable, err := tarball.ImageFromPath(filepath.Join(dir, "jiragate-"+strings.ReplaceAll(platform, "/", "-")+".tar"), &tag)
		if err != nil {
			t.Fatal(err)
		}
		id, err1 := img.ConfigName()
		loadableID, err2 := loadable.ConfigName()
		if err := errors.Join(err1, err2); err != nil || id != loadableID {
			t.Errorf("%s to be loaded is %s, and %s in the index: %v", platform, loadableID, id, err)
		}
	}
}

func checkSettings(t *testing.T, img v1.Image) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if c.User != "65532:65532" || !slices.Equal(c.Cmd, []string{"serve"}) || c.StopSignal != "SIGTERM" || c.Healthcheck == nil {
		t.Errorf("settings %+v", c)
	}
	if got := c.Labels["org.opencontainers.image.created"]; got != "2025-11-28T00:00:00Z" || config.Created.Unix() != 1764288000 {
		t.Errorf("created %s, %s", got, config.Created)
	}
	if config.Author != "" || config.Container != "" {
		t.Errorf("something of this machine is in %+v", config)
	}
}

// entry is a file of an image.
type entry struct {
	header  *tar.Header
	content []byte
}

// read is the file system of an image.
func read(t *testing.T, img v1.Image) map[string]entry {
	t.Helper()
	files := map[string]entry{}
	flat := mutate.Extract(img)
	defer flat.Close() // only read from
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(h.Name, "/")] = entry{h, b}
	}
}

// There is nothing in the image but what it needs: no shell, nothing that anybody may
// write but /tmp, and one folder of the user's.
func TestContents(t *testing.T) {
	img, err := newImage(v1.Platform{OS: "linux", Architecture: "amd64"}, []byte("program"), commit{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"data": "drwx------", "tmp": "dtrwxrwxrwx",
		"etc": "drwxr-xr-x", "etc/ssl": "drwxr-xr-x", "etc/ssl/certs": "drwxr-xr-x", "etc/ssl/certs/ca-certificates.crt": "-rw-r--r--",
		"usr": "drwxr-xr-x", "usr/local": "drwxr-xr-x", "usr/local/bin": "drwxr-xr-x", "usr/local/bin/jiragate": "-rwxr-xr-x",
	}
	got := map[string]string{}
	for name, f := range read(t, img) {
		got[name] = f.header.FileInfo().Mode().String()
		if owner := f.header.Uid; (owner == user) != (name == "data") || owner != f.header.Gid || f.header.Uname != "" {
			t.Errorf("%s belongs to %d:%d", name, owner, f.header.Gid)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("files\n%v\nwant\n%v", got, want)
	}
}

// The CA certificates are CAs, those that Jira's sites have among them, and none is
// there that is trusted up to a date only.
func TestRoots(t *testing.T) {
	have, certificates := map[string]bool{}, 0
	for rest := rootsPEM(); ; certificates++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !c.IsCA {
			t.Errorf("%s is no CA", c.Subject)
		}
		have[string(c.Raw)] = true
		have[c.Subject.CommonName] = true
	}
	if certificates < 80 {
		t.Errorf("%d certificates", certificates)
	}
	for _, name := range []string{"Amazon Root CA 1", "DigiCert Global Root G2", "ISRG Root X1"} {
		if !have[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for root := range bundle.Roots() {
		if have[string(root.Certificate)] != (root.Constraint == nil) {
			t.Error("a certificate is missing, or one is there that is not trusted without a condition")
		}
	}
}

// The program needs nothing of the image: no loader and no libraries.
func TestStatic(t *testing.T) {
	o := order{source: repository}
	b, err := o.program(t.Context(), v1.Platform{OS: "linux", Architecture: "amd64"}, environ())
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a segment %s", p.Type)
		}
	}
	if here, err := filepath.Abs(repository); err != nil || bytes.Contains(b, []byte(here+"/")) {
		t.Errorf("the program has a path of this machine in it: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"platform":    {"-platform", "amd64"},
		"other":       {"-platform", "windows/amd64"},
		"binary":      {"-binary", "linux/amd64"},
		"no source":   {"-source", t.TempDir()},
		"what's that": {"x"},
	} {
		if err := run(t.Context(), args, io.Discard, environ()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := commitOf(t.Context(), t.TempDir(), append(os.Environ(), "SOURCE_DATE_EPOCH=")); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("without a commit and without a time: %v", err)
	}
	if _, err := commitOf(t.Context(), repository, environ("SOURCE_DATE_EPOCH=yesterday")); err == nil {
		t.Error("yesterday is taken for a time")
	}
}
