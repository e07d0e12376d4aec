package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

var (
	changelogVersion = regexp.MustCompile(`^## \[(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\] - (\d{4}-\d{2}-\d{2})$`)
	// changelogKinds are those of Keep a Changelog, in its order, and what a version
	// doesn't have yet.
	changelogKinds = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Not in this release"}
)

// changelogFaults says where text is not in the form of Keep a Changelog 1.1.0: Unreleased
// on top, then versions by Semantic Versioning with their day, newest first.
func changelogFaults(text string) []string {
	var faults []string
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
	sections, kind := 0, -1
	version, day := "", ""
	for i, line := range strings.Split(text, "\n") {
		switch n := i + 1; {
		case i == 0 && line != "# Changelog":
			fault(n, "the title is %q, not # Changelog", line)
		case strings.HasPrefix(line, "## "):
			sections++
			kind = -1
			if sections == 1 {
				if line != "## [Unreleased]" {
					fault(n, "the first section is %q, not ## [Unreleased]", line)
				}
				continue
			}
			m := changelogVersion.FindStringSubmatch(line)
			if m == nil || !semver.IsValid("v"+m[1]) {
				fault(n, "%q is not of the form ## [X.Y.Z] - YYYY-MM-DD", line)
				continue
			}
			if version != "" && semver.Compare("v"+m[1], "v"+version) >= 0 {
				fault(n, "version %s is below %s: the newest comes first", m[1], version)
			}
			if day != "" && m[2] > day {
				fault(n, "%s is of %s, after the version above it", m[1], m[2])
			}
			version, day = m[1], m[2]
		case strings.HasPrefix(line, "### "):
			at := slices.Index(changelogKinds, line[len("### "):])
			if at < 0 {
				fault(n, "%q is none of %q", line, changelogKinds)
			} else if at <= kind {
				fault(n, "%q is twice in its version, or not in the order of %q", line, changelogKinds)
			}
			kind = max(kind, at)
			if sections == 0 {
				fault(n, "%q belongs to no version", line)
			}
		}
	}
	if sections == 0 {
		fault(1, "it has no section ## [Unreleased]")
	}
	return faults
}

func TestChangelogHasItsForm(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range changelogFaults(string(text)) {
		t.Errorf("CHANGELOG.md: %s", f)
	}
}

func TestFaultsOfAChangelogAreFound(t *testing.T) {
	const good = "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2026-12-02\n\n### Added\n\n- b\n\n### Fixed\n\n- c\n\n## [1.0.0] - 2026-12-01\n\n### Added\n\n- a\n"
	if f := changelogFaults(good); len(f) > 0 {
		t.Errorf("a good one has %q", f)
	}
	for _, test := range []struct{ from, to, says string }{
		{"# Changelog", "# Changes", "the title"},
		{"## [Unreleased]\n", "", "not ## [Unreleased]"},
		{"[1.1.0]", "[1.1]", "not of the form"},
		{"[1.1.0]", "[01.1.0]", "not of the form"},
		{" - 2026-12-02", "", "not of the form"},
		{"[1.1.0]", "[0.9.0]", "the newest comes first"},
		{"2026-12-02", "2026-11-30", "after the version above it"},
		{"### Added", "### New", "is none of"},
		{"### Fixed", "### Added", "twice in its version"},
		{good, "# Changelog\n", "no section"},
	} {
		text := strings.Replace(good, test.from, test.to, 1)
		if f := changelogFaults(text); len(f) == 0 || !strings.Contains(strings.Join(f, "\n"), test.says) {
			t.Errorf("%q for %q: found %q, want %q", test.to, test.from, f, test.says)
		}
	}
}
