package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is something of others that is in the program: a Go module, Go's standard library,
// or a file that is embedded.
type part struct {
	kind    partKind
	name    string // module path; "std"; or the npm package's name
	version string // of a module with the v, "v1.2.3"; of the others without
	sum     string // of a module as in go.sum, "h1:…"; of an embedded file its SHA-256 in hex; empty for std

	licences  []string      // SPDX identifiers, sorted
	texts     []licenceText // sorted by name
	dependsOn []string      // names of other modules, sorted
	direct    bool          // the program's own packages use it
}

type partKind int

const (
	goModule partKind = iota
	goStandardLibrary
	embeddedFile
)

// listedPackage is what `go list` tells of a package.
type listedPackage struct {
	ImportPath string
	Dir        string
	Imports    []string
	Module     *listedModule
}

type listedModule struct{ Path, Version, Dir string }

// linkage is what the sources tell of the modules of a program.
type linkage struct {
	modules map[string]*listedModule   // by path
	dirs    map[string][]string        // of a module's packages
	uses    map[string]map[string]bool // module to modules
}

func linkageOf(packages []listedPackage) linkage {
	l := linkage{modules: map[string]*listedModule{}, dirs: map[string][]string{}, uses: map[string]map[string]bool{}}
	owner := map[string]string{} // package to module
	for _, p := range packages {
		if p.Module != nil {
			owner[p.ImportPath] = p.Module.Path
			l.modules[p.Module.Path] = p.Module
			l.dirs[p.Module.Path] = append(l.dirs[p.Module.Path], p.Dir)
		}
	}
	for _, p := range packages {
		for _, i := range p.Imports {
			from, to := owner[p.ImportPath], owner[i]
			if from == "" || to == "" || from == to {
				continue
			}
			if l.uses[from] == nil {
				l.uses[from] = map[string]bool{}
			}
			l.uses[from][to] = true
		}
	}
	return l
}

// parts finds what b is made of. That a module is linked is read from b itself; the
// sources tell where its licences are and what it uses. Both must agree.
func (g *goTool) parts(ctx context.Context, b *binary) ([]part, error) {
	packages, err := g.packages(ctx, b.platform)
	if err != nil {
		return nil, err
	}
	l := linkageOf(packages)
	var list []part
	for _, d := range b.info.Deps {
		if d.Replace != nil {
			return nil, fmt.Errorf("module %s is replaced: a release is made of published modules only", d.Path)
		}
		m := l.modules[d.Path]
		if m == nil || m.Version != d.Version || d.Sum == "" {
			return nil, fmt.Errorf("module %s %s is in the program, and go list doesn't know it with a sum: is the checkout the one that was built?", d.Path, d.Version)
		}
		delete(l.modules, d.Path)
		p := part{kind: goModule, name: d.Path, version: d.Version, sum: d.Sum,
			dependsOn: slices.Sorted(maps.Keys(l.uses[d.Path])), direct: l.uses[b.info.Main.Path][d.Path]}
		if p.texts, err = licenceTexts(m.Dir, l.dirs[d.Path]); err != nil {
			return nil, fmt.Errorf("licences of %s: %w", d.Path, err)
		}
		list = append(list, p)
	}
	delete(l.modules, b.info.Main.Path)
	if len(l.modules) > 0 {
		return nil, fmt.Errorf("modules %q are used, and not in the program", slices.Sorted(maps.Keys(l.modules)))
	}
	std, err := g.standardLibrary(ctx)
	if err != nil {
		return nil, err
	}
	embedded, err := embeddedFiles(g.source)
	if err != nil {
		return nil, err
	}
	list = append(append(list, std), embedded...)
	for i, p := range list {
		if list[i].licences, err = licences(p.texts); err != nil {
			return nil, fmt.Errorf("%s %s: %w", p.name, p.version, err)
		}
	}
	return list, nil
}

// packages lists the program's packages and all that they use.
func (g *goTool) packages(ctx context.Context, p platform) ([]listedPackage, error) {
	out, err := g.run(ctx, p, "list", "-deps", "-mod=readonly", "-json=ImportPath,Dir,Imports,Module", ".")
	if err != nil {
		return nil, err
	}
	var list []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("what go list writes: %w", err)
		}
		list = append(list, p)
	}
}

func (g *goTool) standardLibrary(ctx context.Context) (part, error) {
	out, err := g.run(ctx, platform{}, "env", "GOROOT")
	if err != nil {
		return part{}, err
	}
	p := part{kind: goStandardLibrary, name: "std", version: strings.TrimPrefix(g.version, "go"), direct: true}
	if p.texts, err = licenceTexts(strings.TrimSpace(string(out)), nil); err != nil {
		return part{}, fmt.Errorf("licences of Go: %w", err)
	}
	return p, nil
}

// embeddedLicences is where files of others lie that are embedded: NAME.js beside
// NAME.LICENSE. A test sees that there are none elsewhere.
const embeddedLicences = "gateway/admin/page/assets/*.LICENSE"

// origin is how an embedded script names itself in its first line.
var origin = regexp.MustCompile(`^/\*! https://github\.com/\S+/(\S+) \(v([0-9.]+)\) \*/`)

func embeddedFiles(source string) ([]part, error) {
	found, err := filepath.Glob(filepath.Join(source, embeddedLicences))
	if err != nil {
		return nil, fmt.Errorf("embedded files: %w", err)
	}
	var list []part
	for _, name := range found {
		script := strings.TrimSuffix(name, ".LICENSE") + ".js"
		text, err := os.ReadFile(script)
		if err != nil {
			return nil, fmt.Errorf("what %s is the licence of: %w", filepath.Base(name), err)
		}
		match := origin.FindSubmatch(text)
		if match == nil {
			return nil, fmt.Errorf("%s doesn't say in its first line what it is, and which version", filepath.Base(script))
		}
		licence, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("embedded files: %w", err)
		}
		list = append(list, part{kind: embeddedFile, name: strings.ToLower(string(match[1])), version: string(match[2]), direct: true,
			sum: hexSHA256(text), texts: []licenceText{{"LICENSE", string(licence)}}})
	}
	return list, nil
}
