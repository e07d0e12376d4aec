package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/encoding/protojson"
)

var (
	testPlatforms = flag.String("platforms", "linux/amd64", "what TestRelease builds, twice")
	cold          = flag.Bool("cold", false, "compile everything again for the second release, in an empty cache: takes minutes")
)

// makeRelease runs the command as a person would, and returns its directory.
func makeRelease(t *testing.T, source, key string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dist")
	var said strings.Builder
	if err := run(t.Context(), []string{"-source", source, "-out", out, "-platforms", *testPlatforms, "-key", key, "-builder", "urn:example:ci"}, &said); err != nil {
		t.Fatal(err)
	}
	t.Log(said.String())
	return out
}

func TestRelease(t *testing.T) {
	key, publicKey := keys(t)
	source := checkout(t)
	dir := makeRelease(t, source, key)
	program := unpack(t, dir)

	t.Run("is the same when it is made again elsewhere", func(t *testing.T) {
		if *cold {
			t.Setenv("GOCACHE", t.TempDir())
		}
		first, text, err := sumsOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		second, again, err := sumsOf(makeRelease(t, checkout(t), key))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, again) {
			t.Errorf("first:\n%s\nsecond:\n%s", text, again)
		}
		if len(first) < 4 || !maps.Equal(first, second) {
			t.Errorf("%d files, then %d", len(first), len(second))
		}
	})
	t.Run("says its version by the tag", func(t *testing.T) { testVersionCommand(t, program, source) })
	t.Run("lists its parts", func(t *testing.T) { testParts(t, dir, program) })
	t.Run("holds nothing that only tests need", func(t *testing.T) { testLinked(t, program, source) })
	t.Run("has no known vulnerability", func(t *testing.T) {
		var said strings.Builder
		if err := vulnerabilities(t.Context(), source, program, false, &said); err != nil {
			t.Error(err)
		}
		t.Log(said.String())
	})
	t.Run("has a provenance", func(t *testing.T) { testProvenance(t, dir, program, publicKey) })
	t.Run("can be verified as documented", func(t *testing.T) { testDocumented(t, dir, publicKey) })
	t.Run("shows when a file was changed", func(t *testing.T) { testTampering(t, dir, publicKey) })
}

// unpack gives the program in the archive, as a user gets it.
func unpack(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	stem := "jiragate_" + testVersion + "_linux_amd64"
	command(t, to, nil, "tar", "-xzf", filepath.Join(dir, stem+".tar.gz"))
	files, err := os.ReadDir(filepath.Join(to, stem))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if want := []string{"CHANGELOG.md", "LICENSE", "THIRD_PARTY_LICENSES", "jiragate", "jiragate.cdx.json"}; !slices.Equal(names, want) {
		t.Fatalf("the archive has %q, want %q", names, want)
	}
	return filepath.Join(to, stem, "jiragate")
}

func testVersionCommand(t *testing.T, program, source string) {
	var got struct {
		Version, Revision, Time, Go string
		Modified                    bool
		Build                       map[string]string
		Policy                      struct{ SHA256 string }
		Modules                     []struct{ Path, Version, Sum string }
	}
	if err := json.Unmarshal([]byte(command(t, source, nil, program, "version", "--output", "json")), &got); err != nil {
		t.Fatal(err)
	}
	revision := strings.TrimSpace(command(t, source, nil, "git", "rev-parse", "HEAD"))
	if got.Version != testVersion || got.Revision != revision || got.Time != "2026-11-28T10:00:00Z" || got.Modified {
		t.Errorf("got %+v", got)
	}
	if got.Build["CGO_ENABLED"] != "0" || got.Build["-trimpath"] != "true" || got.Build["GOAMD64"] != "v1" {
		t.Errorf("built with %v", got.Build)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Modules) != len(info.Deps) || got.Go != info.GoVersion || got.Policy.SHA256 == "" {
		t.Errorf("%d modules, %s, policy %q", len(got.Modules), got.Go, got.Policy.SHA256)
	}
	mod := moduleFile(t)
	if want := mod.Toolchain.Name; got.Go != want {
		t.Errorf("built by %s; go.mod names %s", got.Go, want)
	}
}

func moduleFile(t *testing.T) *modfile.File {
	t.Helper()
	name := filepath.Join(root, "go.mod")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse(name, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func testParts(t *testing.T, dir, program string) {
	text, err := os.ReadFile(filepath.Join(dir, "jiragate_"+testVersion+"_linux_amd64.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema := cycloneDXSchema(t)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Errorf("the list of parts is not CycloneDX 1.6: %v", err)
	}

	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	sum, err := fileSHA256(program)
	if err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Version != testVersion || (*c.Hashes)[0].Value != sum {
		t.Errorf("it is about %s with SHA-256 %v, want %s", c.Version, *c.Hashes, sum)
	}
	// `go version -m` is Go's own list.
	want := []string{"std " + strings.TrimPrefix(moduleFile(t).Toolchain.Name, "go"), "uplot 1.6.32"}
	for line := range strings.Lines(command(t, dir, nil, "go", "version", "-m", program)) {
		if f := strings.Fields(line); f[0] == "dep" {
			want = append(want, f[1]+" "+f[2]+" "+f[3])
		}
	}
	var got []string
	refs := map[string]bool{"jiragate": true}
	for _, c := range *bom.Components {
		one := c.Name + " " + c.Version
		if c.Properties != nil {
			one += " " + (*c.Properties)[0].Value
		}
		got = append(got, one)
		refs[c.BOMRef] = true
		if c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed:\n%s\nlinked:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	used := map[string]bool{"jiragate": true}
	for _, d := range *bom.Dependencies {
		if !refs[d.Ref] {
			t.Errorf("dependencies of %s, which is not listed", d.Ref)
		}
		if d.Dependencies == nil {
			continue
		}
		for _, on := range *d.Dependencies {
			used[on] = true
		}
	}
	for ref := range refs {
		if !used[ref] {
			t.Errorf("nothing uses %s", ref)
		}
	}
}

// cycloneDXSchema is the schema of version 1.6 that comes with the library that wrote
// the list; what checks by it is another one.
func cycloneDXSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir := strings.TrimSpace(command(t, "..", []string{"GOWORK=off"}, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go"))
	compiler := jsonschema.NewCompiler()
	for name, file := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		text, err := os.ReadFile(filepath.Join(dir, "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+name, document); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// testsOnly are the direct requirements of go.mod that the program doesn't have. A new
// requirement is either linked, or is added here: nobody adds one to the program
// unnoticed, and none of these gets into it.
var testsOnly = []string{
	"github.com/andygrunwald/go-jira", "github.com/anishathalye/porcupine", "github.com/chromedp/cdproto", "github.com/chromedp/chromedp",
	"github.com/getkin/kin-openapi", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak", "golang.org/x/tools", "pgregory.net/rapid",
}

func testLinked(t *testing.T, program, source string) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for _, d := range info.Deps {
		linked[d.Path] = true
	}
	var missing []string
	for _, r := range moduleFile(t).Require {
		if !r.Indirect && !linked[r.Mod.Path] {
			missing = append(missing, r.Mod.Path)
		}
	}
	if !slices.Equal(missing, testsOnly) {
		t.Errorf("direct requirements that are not in the program:\n%q\nwant those of tests:\n%q", missing, testsOnly)
	}

	// Packages of jiragate itself are not in what the toolchain writes.
	g, err := newGoTool(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := g.packages(t.Context(), platform{"linux", "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	var internal []string
	for _, p := range packages {
		if name, ok := strings.CutPrefix(p.ImportPath, "jiragate/internal/"); ok {
			internal = append(internal, name)
		}
	}
	// `jiragate demo` is part of the program, and the simulator of Jira with it:
	// whoever has the program can try it. `jiragate serve` doesn't reach it (arch_test.go).
	for _, name := range []string{"demo", "jirasim"} {
		if !slices.Contains(internal, name) {
			t.Errorf("internal/%s is not in the program: %q", name, internal)
		}
	}
	for _, name := range []string{"bench", "browser", "conformance", "etcdlab", "netlab", "soak"} {
		if slices.ContainsFunc(internal, func(p string) bool { return p == name || strings.HasPrefix(p, name+"/") }) {
			t.Errorf("internal/%s is for tests, and is in the program", name)
		}
	}
}

func testProvenance(t *testing.T, dir, program, publicKey string) {
	s, err := readProvenance(t.Context(), dir, publicKey)
	if err != nil {
		t.Fatal(err)
	}
	sums, _, err := sumsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	stem := "jiragate_" + testVersion + "_linux_amd64"
	want := map[string]string{stem + ".tar.gz": sums[stem+".tar.gz"]}
	if want[stem+"/jiragate"], err = fileSHA256(program); err != nil {
		t.Fatal(err)
	}
	for _, subject := range s.GetSubject() {
		if sum, ok := want[subject.GetName()]; ok && sum == subject.GetDigest()["sha256"] {
			delete(want, subject.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("it doesn't name %v", want)
	}

	text, err := protojson.Marshal(s.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	var p slsa.Provenance
	if err := protojson.Unmarshal(text, &p); err != nil {
		t.Fatalf("the predicate is no SLSA provenance: %v", err)
	}
	if id := p.GetRunDetails().GetBuilder().GetId(); id != "urn:example:ci" {
		t.Errorf("built by %q", id)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	// The commit, the toolchain, and at least each module of this program.
	if n := len(p.GetBuildDefinition().GetResolvedDependencies()); n < 2+len(info.Deps) {
		t.Errorf("%d materials, and the program has %d modules", n, len(info.Deps))
	}
	for _, m := range p.GetBuildDefinition().GetResolvedDependencies() {
		if m.GetName() != "toolchain" && len(m.GetDigest()) == 0 {
			t.Errorf("%s%s has no digest", m.GetName(), m.GetUri())
		}
	}
}

// testDocumented runs the commands that docs/supply-chain.md shows: the signature is
// checked by OpenSSL, the sums by sha256sum.
func testDocumented(t *testing.T, dir, publicKey string) {
	text, err := os.ReadFile(filepath.Join(root, "docs/supply-chain.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- a test runs this -->\n```sh\n")
	script, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("docs/supply-chain.md has no commands that a test could run")
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	environ := []string{"VERSION=" + testVersion, "KEY=" + publicKey}
	out := command(t, copied, environ, "sh", "-euc", script)
	if !strings.Contains(out, "Signature Verified Successfully") || !strings.Contains(out, ".tar.gz: OK") {
		t.Errorf("the commands wrote:\n%s", out)
	}
	_, other := keys(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir, cmd.Env = copied, append(os.Environ(), "VERSION="+testVersion, "KEY="+other)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the commands take the key of somebody else:\n%s", out)
	}
	// An older release, signed by the right key, must not pass for a newer one.
	stem, newer := "jiragate_"+testVersion, "jiragate_v9.9.9"
	for _, end := range []string{"_linux_amd64.tar.gz", ".provenance.dsse.json"} {
		if err := os.Rename(filepath.Join(copied, stem+end), filepath.Join(copied, newer+end)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(copied); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir, cmd.Env = copied, append(os.Environ(), "VERSION=v9.9.9", "KEY="+publicKey)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is not in the statement") {
		t.Errorf("the commands take a release under another name: %v\n%s", err, out)
	}
}

func testTampering(t *testing.T, dir, publicKey string) {
	if err := verify(t.Context(), dir, publicKey, io.Discard); err != nil {
		t.Fatal(err)
	}
	archive := "jiragate_" + testVersion + "_linux_amd64.tar.gz"
	envelope := "jiragate_" + testVersion + ".provenance.dsse.json"
	flip := func(t *testing.T, name string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, dir string)
		says   string
	}{
		{"an archive", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, archive)) }, "is not the file that was released"},
		{"an archive and the sums", func(t *testing.T, dir string) {
			flip(t, filepath.Join(dir, archive))
			if err := writeSums(dir); err != nil {
				t.Fatal(err)
			}
		}, "the provenance doesn't name"},
		{"the provenance and the sums", func(t *testing.T, dir string) {
			flip(t, filepath.Join(dir, envelope))
			if err := writeSums(dir); err != nil {
				t.Fatal(err)
			}
		}, "provenance"},
		{"a file was removed", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, archive)); err != nil {
				t.Fatal(err)
			}
		}, "is missing"},
		{"a file was added", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "more.tar.gz"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "is not listed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			test.change(t, copied)
			if err := verify(t.Context(), copied, publicKey, io.Discard); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error with %q", err, test.says)
			}
		})
	}
	_, other := keys(t)
	if err := verify(t.Context(), dir, other, io.Discard); err == nil || !strings.Contains(err.Error(), "not signed by the given key") {
		t.Errorf("with the key of somebody else: %v", err)
	}
}
