package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// licenceText is a file that comes with a part: its licence, or a notice.
type licenceText struct {
	name string // below the part's root, with slashes
	text string
}

// allowed are the licences under which others' work may be in the program: they ask
// for their texts and notices, which THIRD_PARTY_LICENSES has, and for nothing of
// jiragate's own source. MPL-2.0 asks besides that users are told where the part's source is.
// "blessing" is SPDX's name for what SQLite says: public domain.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "blessing"}

// read are the licence files that are not recognised, or only in parts, and were read by a person, by
// the SHA-256 of their text: a file that changes is read again. Which of the licences
// in them are those of what is linked was for that person to see.
var read = map[string][]string{
	// modernc.org/libc v1.80.1, LICENSE-3RD-PARTY.md: Go, musl and what musl took, go-netdb, nixpkgs.
	"f597097efe3d97021f89170746bd3a0fb9a8b6fb26b82043ed68a4e0283bee6c": {"BSD-2-Clause", "BSD-3-Clause", "MIT"},
	// modernc.org/memory v1.12.1, LICENSE-LOGO: the address of a picture, which is not linked.
	"5ae5bee3072a841376451b48d8cfcec7188e10543926d5870828d36c8a750dc5": {},
	// modernc.org/sqlite v1.62.0, LICENSE-SQLITE.
	"8438c9c89b849131ead81d5435cb97fcf052df5b0b286dda8a2d4c29e6cb3fd0": {"blessing"},
	// modernc.org/sqlite v1.62.0, LICENSE-3RD-PARTY.md: of what it lists, section 1 is linked.
	"f4a00ade8f4057ab0ea49097d9c459df8559fcf10ca78da0c950343fb7428d37": {"BSD-3-Clause", "MIT", "blessing"},
}

// enough is the least share of a licence's file, in percent, that must be the text of
// known licences; the rest is who has the copyright.
const enough = 75

var (
	licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$|^[a-z0-9]+-licen[cs]e(\.(md|txt))?$`)
	noticeName  = regexp.MustCompile(`(?i)^(notice|patents|copyright)([-._].*)?$`)
)

// licenceTexts reads the licences and notices in root, and in every folder between it and
// dirs: a module may hold work of others, below, with a licence of its own.
func licenceTexts(root string, dirs []string) ([]licenceText, error) {
	seen := map[string]bool{}
	var list []licenceText
	for _, dir := range append([]string{root}, dirs...) {
		for ; !seen[dir] && (dir == root || strings.HasPrefix(dir, root+string(filepath.Separator))); dir = filepath.Dir(dir) {
			seen[dir] = true
			files, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				if !f.Type().IsRegular() || strings.HasSuffix(f.Name(), ".go") ||
					!licenceName.MatchString(f.Name()) && !noticeName.MatchString(f.Name()) {
					continue
				}
				text, err := os.ReadFile(filepath.Join(dir, f.Name()))
				if err != nil {
					return nil, err
				}
				name, err := filepath.Rel(root, filepath.Join(dir, f.Name()))
				if err != nil {
					return nil, err
				}
				list = append(list, licenceText{filepath.ToSlash(name), string(text)})
			}
		}
	}
	slices.SortFunc(list, func(a, b licenceText) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// licences names the licences in texts. A part without one, a text that is no
// known licence, and a licence that is not allowed are errors: a person must look.
func licences(texts []licenceText) ([]string, error) {
	var ids []string
	for _, t := range texts {
		if !licenceName.MatchString(path.Base(t.name)) {
			continue
		}
		if known, ok := read[hexSHA256([]byte(t.text))]; ok {
			ids = append(ids, known...)
			continue
		}
		found := licensecheck.Scan([]byte(t.text))
		if found.Percent < enough {
			return nil, fmt.Errorf("%s is %.0f%% of a known licence, less than %d%%: read it, and add what it is to the list in licence.go", t.name, found.Percent, enough)
		}
		for _, m := range found.Match {
			if m.IsURL {
				continue
			}
			if !slices.Contains(allowed, m.ID) {
				return nil, fmt.Errorf("%s is %s, which is not among the licences that are allowed: %s", t.name, m.ID, strings.Join(allowed, ", "))
			}
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("it has no licence: ask its authors, or do without it")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// notices writes THIRD_PARTY_LICENSES: for each part what it is, and every text that
// came with it, as its licence demands.
func notices(list []part) []byte {
	var b bytes.Buffer
	b.WriteString("jiragate contains the work of others, under their licences. Each part is listed with its\n" +
		"version and licence, then with the texts that came with it. The source of a Go module is\n" +
		"what `go mod download MODULE@VERSION` fetches.\n\n")
	for _, p := range list {
		fmt.Fprintf(&b, "%s %s  %s\n", p.name, p.version, strings.Join(p.licences, ", "))
	}
	for _, p := range list {
		for _, t := range p.texts {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n\n%s\n", strings.Repeat("=", 80), p.name, p.version, t.name, strings.TrimRight(t.text, "\n"))
		}
	}
	return b.Bytes()
}
