package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// Each platform of a release must compile, not only the first, which TestRelease builds.
// Checking the types of jiragate's own packages shows that in seconds; what modules have
// inside their functions is left out, since others compile that.
func TestOtherPlatformsCompile(t *testing.T) {
	_, others, _ := strings.Cut(defaultPlatforms, ",")
	for p := range strings.SplitSeq(others, ",") {
		t.Run(p, func(t *testing.T) {
			system, arch, _ := strings.Cut(p, "/")
			g, err := newGoTool(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			absolute, err := filepath.Abs(root)
			if err != nil {
				t.Fatal(err)
			}
			found, err := packages.Load(&packages.Config{
				Context: t.Context(), Dir: root, Env: append(g.environ, "GOOS="+system, "GOARCH="+arch),
				Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
					packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes,
				ParseFile: func(files *token.FileSet, name string, text []byte) (*ast.File, error) {
					f, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
					if f != nil && !strings.HasPrefix(name, absolute+string(filepath.Separator)) {
						dropBodies(f)
					}
					return f, err
				},
			}, ".")
			if err != nil {
				t.Fatal(err)
			}
			checked := 0
			packages.Visit(found, nil, func(p *packages.Package) {
				if p.PkgPath != "jiragate" && !strings.HasPrefix(p.PkgPath, "jiragate/") {
					return
				}
				checked++
				for _, e := range p.Errors {
					t.Error(e)
				}
			})
			if checked < 30 {
				t.Errorf("only %d packages of jiragate were checked", checked)
			}
		})
	}
}

func dropBodies(f *ast.File) {
	for _, d := range f.Decls {
		if function, ok := d.(*ast.FuncDecl); ok {
			function.Body = nil
		}
	}
}
