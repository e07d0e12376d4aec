package mutation

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A Mutant is one fault.
type Mutant struct {
	// File, Func, Kind and Change name it, whatever line it is on: the base name of
	// its file, the function ("(T).f" for a method, "" outside of any), the kind of
	// fault as in the package comment, and the text before and after. Of several
	// that are the same in these, the later ones have their number in Change.
	File, Func, Kind, Change string
	// Line is where it is now.
	Line int

	site
	constant bool // needs a binary of its own
}

// Key names the mutant in a list.
func (m *Mutant) Key() string {
	return strings.Join([]string{m.File, m.Func, m.Kind, m.Change}, " | ")
}

// site is where a fault goes. The bytes from start to end are wrapped, so that
// several faults can share a place; those of a constant are replaced by prefix.
// Each "µ" in prefix and suffix stands for the number of the mutant.
type site struct {
	start, end     int
	prefix, suffix string
}

// Package is a package with the places of its faults.
type Package struct {
	Mutants []*Mutant // in order of files and places; a mutant's number is its place from 1

	dir, name string
	sources   map[string][]byte // by path
	fixed     map[string][]site // what the files need to compile with faults in them
}

// Load reads the package in dir and finds the faults for those of its files whose
// base names are listed.
func Load(dir string, files ...string) (*Package, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	loaded, err := packages.Load(&packages.Config{
		Dir:  dir,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps,
	}, ".")
	if err != nil {
		return nil, fmt.Errorf("loading the package in %s: %w", dir, err)
	}
	if len(loaded) != 1 || len(loaded[0].Errors) > 0 {
		return nil, fmt.Errorf("loading the package in %s: %d packages, errors %v", dir, len(loaded), loaded[0].Errors)
	}
	from := loaded[0]
	p := &Package{dir: dir, name: from.Name, sources: make(map[string][]byte), fixed: make(map[string][]site)}
	var missing []error
	for _, name := range files {
		path := filepath.Join(dir, name)
		i := slices.IndexFunc(from.Syntax, func(f *ast.File) bool { return from.Fset.Position(f.Pos()).Filename == path })
		if i < 0 {
			missing = append(missing, fmt.Errorf("%s is no file of the package", path))
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p.sources[path] = source
		f := &finder{source: source, fset: from.Fset, file: from.Syntax[i], base: from.Fset.File(from.Syntax[i].Pos()).Base(), info: from.TypesInfo, pkg: from.Types, name: name}
		f.find()
		p.Mutants = append(p.Mutants, f.mutants...)
		p.fixed[path] = f.fixed
	}
	seen := make(map[string]int)
	for _, m := range p.Mutants {
		seen[m.Key()]++
		if n := seen[m.Key()]; n > 1 {
			m.Change += fmt.Sprintf(" #%d", n)
		}
	}
	return p, errors.Join(missing...)
}

// finder finds the faults of one file.
type finder struct {
	name    string
	source  []byte
	fset    *token.FileSet
	file    *ast.File
	base    int
	info    *types.Info
	pkg     *types.Package
	mutants []*Mutant
	fixed   []site

	function string // where it is
}

func (f *finder) offset(p token.Pos) int { return int(p) - f.base }

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

// add notes a fault at n, which turns before into after.
func (f *finder) add(n ast.Node, kind, before, after, prefix, suffix string) *Mutant {
	m := &Mutant{
		File: f.name, Func: f.function, Kind: kind, Line: f.fset.Position(n.Pos()).Line,
		Change: short(before) + " -> " + short(after),
		site:   site{f.offset(n.Pos()), f.offset(n.End()), prefix, suffix},
	}
	f.mutants = append(f.mutants, m)
	return m
}

// short is text on one line, not too long for a list.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:60]) + " … " + string(r[len(r)-38:])
	}
	return s
}

// typeName writes a type as this file would, or fails.
func (f *finder) typeName(t types.Type) (name string, ok bool) {
	ok = true
	name = types.TypeString(t, func(p *types.Package) string {
		if p == f.pkg {
			return ""
		}
		imported := slices.ContainsFunc(f.file.Imports, func(s *ast.ImportSpec) bool {
			return s.Name == nil && strings.Trim(s.Path.Value, `"`) == p.Path()
		})
		ok = ok && imported
		return p.Name()
	})
	return name, ok && !strings.Contains(name, "untyped")
}
