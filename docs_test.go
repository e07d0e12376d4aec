package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documents gives the text of each page of the repository by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		pages[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)?)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	marks   = regexp.MustCompile("[`*]|\\[|\\]\\([^)]*\\)")
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchors are the names that the headings of a page can be linked to by.
func anchors(page string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(marks.ReplaceAllString(m[1], "")), "")
		all = append(all, strings.ReplaceAll(strings.TrimSpace(name), " ", "-"))
	}
	return all
}

// Every link from page to page leads somewhere, to the heading that it names.
func TestLinksOfDocuments(t *testing.T) {
	pages := documents(t)
	for path, page := range pages {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			target, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %q is no link: %v", path, m[1], err)
				continue
			}
			if target.Scheme != "" || strings.HasPrefix(m[1], "//") {
				continue
			}
			to := path
			if target.Path != "" {
				to = filepath.Join(filepath.Dir(path), target.Path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which isn't there", path, m[1])
				continue
			}
			if linked, ok := pages[to]; ok && target.Fragment != "" && !slices.Contains(anchors(linked), target.Fragment) {
				t.Errorf("%s links to %s: no heading of %s has that name", path, m[1], to)
			}
		}
	}
}

// Every page in docs and every README of deploy can be reached by links from README.md.
func TestDocumentsAreFound(t *testing.T) {
	pages := documents(t)
	reached := map[string]bool{}
	var follow func(path string)
	follow = func(path string) {
		if reached[path] {
			return
		}
		reached[path] = true
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(pages[path], ""), -1) {
			if target, err := url.Parse(m[1]); err == nil && target.Scheme == "" && target.Path != "" {
				to := filepath.Join(filepath.Dir(path), target.Path)
				if info, err := os.Stat(to); err == nil && info.IsDir() {
					// What a reader gets who follows a link to a directory.
					if entries, err := os.ReadDir(to); err == nil {
						for _, e := range entries {
							follow(filepath.Join(to, e.Name()))
						}
					}
					continue
				}
				follow(to)
			}
		}
	}
	follow("README.md")
	for path := range pages {
		if !reached[path] {
			t.Errorf("no way by links leads from README.md to %s", path)
		}
	}
}

// The tests that SECURITY.md names are there.
func TestThreatsNameTheirTests(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for name := range testsOf(file) {
			there[name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page := documents(t)["SECURITY.md"]
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z0-9]\\w*)`").FindAllStringSubmatch(page, -1) {
		if !there[name[1]] {
			t.Errorf("SECURITY.md names %s, which is no test", name[1])
		}
	}
	for _, story := range regexp.MustCompile("`(testdata/\\w+\\.txt)`").FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join("internal/cli", story[1])); err != nil {
			t.Errorf("SECURITY.md names %s: %v", story[1], err)
		}
	}
	// The cells of a row of the threats: which, what it is, what is done, tests.
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \| [^|]* \| [^|]* \| ([^|]*) \|$`).FindAllStringSubmatch(page, -1) {
		rows[m[1]] = m[2]
	}
	for letter, last := range map[string]int{"D": 10, "P": 12, "H": 12, "I": 7, "S": 8, "A": 5, "C": 4} {
		for i := range last {
			threat := letter + strconv.Itoa(i+1)
			if !strings.Contains(rows[threat], "`Test") && threat != "S8" { // what Go does with memory is said below the table
				t.Errorf("SECURITY.md names no test of %s: %q", threat, rows[threat])
			}
		}
	}
}

// testsOf are the names of the tests and fuzz targets of a file.
func testsOf(file *ast.File) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) && !yield(f.Name.Name) {
				return
			}
		}
	}
}
