package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// release is one run: what of, for which platforms, to where.
type release struct {
	source, out string
	platforms   []platform
	keyFile     string
	builder     string // URI
	stdout      io.Writer
}

type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// artefact is a file of the release, or the program inside an archive.
type artefact struct{ name, sha256 string }

// make writes the whole release, or nothing that could be taken for one:
// SHA256SUMS is written last.
func (r *release) make(ctx context.Context) error {
	var key signingKey
	if r.keyFile != "" {
		var err error
		if key, err = readSigningKey(r.keyFile); err != nil {
			return err
		}
	}
	if err := r.clear(); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "jiragate-release-")
	if err != nil {
		return fmt.Errorf("a place to build in: %w", err)
	}
	defer os.RemoveAll(work)

	g, err := newGoTool(ctx, r.source)
	if err != nil {
		return err
	}
	p := provenance{builder: r.builder, toolchain: g.version}
	for _, target := range r.platforms {
		b, err := g.build(ctx, target, filepath.Join(work, target.os+"_"+target.arch))
		if err != nil {
			return err
		}
		if err := r.describe(ctx, g, b, &p); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	text, err := p.statement()
	if err != nil {
		return err
	}
	name := "jiragate_" + p.version + ".provenance.json"
	if key != nil {
		name = "jiragate_" + p.version + ".provenance.dsse.json"
		if text, err = sign(ctx, key, text); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(r.stdout, "the provenance is NOT SIGNED: no -key was given")
	}
	if err := r.write(name, text); err != nil {
		return err
	}
	return writeSums(r.out)
}

// describe writes the archive, the list of parts and the licences of one program, and
// adds them to the provenance.
func (r *release) describe(ctx context.Context, g *goTool, b *binary, p *provenance) error {
	list, err := g.parts(ctx, b)
	if err != nil {
		return err
	}
	texts := notices(list)
	sbom, err := billOfMaterials(b, list)
	if err != nil {
		return err
	}
	entries := []entry{{"jiragate", 0o755, nil}, {"CHANGELOG.md", 0o644, nil}, {"LICENSE", 0o644, nil},
		{"THIRD_PARTY_LICENSES", 0o644, texts}, {"jiragate.cdx.json", 0o644, sbom}}
	for i, name := range []string{b.file, filepath.Join(r.source, "CHANGELOG.md"), filepath.Join(r.source, "LICENSE")} {
		if entries[i].text, err = os.ReadFile(name); err != nil {
			return fmt.Errorf("what belongs in the archive: %w", err)
		}
	}
	stem := "jiragate_" + b.version + "_" + b.platform.os + "_" + b.platform.arch
	archive, err := tarball(stem, b.time, entries)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{stem + ".tar.gz": archive, stem + ".cdx.json": sbom, stem + ".licenses.txt": texts} {
		if err := r.write(name, text); err != nil {
			return err
		}
	}
	fmt.Fprintf(r.stdout, "%s.tar.gz  %s, %d parts\n", stem, b.info.GoVersion, len(list))
	return p.add(b, list,
		[]artefact{{stem + ".tar.gz", hexSHA256(archive)}, {stem + "/jiragate", hexSHA256(entries[0].text)}},
		[]artefact{{stem + ".cdx.json", hexSHA256(sbom)}, {stem + ".licenses.txt", hexSHA256(texts)}})
}

// clear makes the directory, and removes what a former release left in it. What
// is no file of a release is not touched, and is an error: it would be summed.
func (r *release) clear() error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("the directory of the release: %w", err)
	}
	old, err := os.ReadDir(r.out)
	if err != nil {
		return fmt.Errorf("the directory of the release: %w", err)
	}
	for _, e := range old {
		if e.Name() != sumsFile && !strings.HasPrefix(e.Name(), "jiragate_") {
			return fmt.Errorf("%s has %s, which is no part of a release: choose another directory by -out", r.out, e.Name())
		}
	}
	for _, e := range old {
		if err := os.Remove(filepath.Join(r.out, e.Name())); err != nil {
			return fmt.Errorf("what a former release left: %w", err)
		}
	}
	return nil
}

func (r *release) write(name string, text []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), text, 0o644); err != nil {
		return fmt.Errorf("a file of the release: %w", err)
	}
	return nil
}
