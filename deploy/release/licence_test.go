package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLicences(t *testing.T) {
	apache, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	mit, err := os.ReadFile(filepath.Join(root, "gateway/admin/page/assets/uplot.LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		texts []licenceText
		want  []string
		says  string
	}{
		{"one", []licenceText{{"LICENSE", string(mit)}}, []string{"MIT"}, ""},
		{"that of a part inside, and a notice", []licenceText{{"LICENSE", string(apache)}, {"NOTICE", "Copyright A"}, {"internal/LICENSE.txt", string(mit)}}, []string{"Apache-2.0", "MIT"}, ""},
		{"none", nil, nil, "no licence"},
		{"a notice only", []licenceText{{"NOTICE", string(mit)}}, nil, "no licence"},
		{"words of its own", []licenceText{{"LICENSE", "You may use this program on Tuesdays, if you have asked all the authors."}}, nil, "read it, and add"},
		{"one that is not allowed", []licenceText{{"COPYING", zeroBSD}}, nil, "not among the licences that are allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := licences(test.texts)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("got error %v, want %q", err, test.says)
			}
		})
	}
}

const zeroBSD = `Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM
LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR
OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
PERFORMANCE OF THIS SOFTWARE.
`

// A module's licence is read from where it is used: work of others below it has its own.
func TestLicencesBetweenAPackageAndItsModule(t *testing.T) {
	module := t.TempDir()
	for _, name := range []string{"LICENSE", "a/b/COPYING", "a/license.go", "other/LICENSE", "NOTICE.txt"} {
		file := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := licenceTexts(module, []string{filepath.Join(module, "a/b"), filepath.Join(module, "a")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.name)
	}
	if want := []string{"LICENSE", "NOTICE.txt", "a/b/COPYING"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// Whoever embeds work of others somewhere else must tell the release of it.
func TestEmbeddedWorkOfOthersIsListed(t *testing.T) {
	listed, err := filepath.Glob(filepath.Join(root, embeddedLicences))
	if err != nil {
		t.Fatal(err)
	}
	for i := range listed {
		if listed[i], err = filepath.Rel(root, listed[i]); err != nil {
			t.Fatal(err)
		}
	}
	listed = append(listed, "LICENSE")
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == "dist") {
			return fs.SkipDir
		}
		if d.IsDir() || strings.HasSuffix(name, ".go") || !strings.Contains(strings.ToUpper(d.Name()), "LICENSE") {
			return nil
		}
		if name, err = filepath.Rel(root, name); err == nil && !slices.Contains(listed, name) {
			t.Errorf("%s: the release doesn't list what this is the licence of; put it where embeddedLicences looks", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
