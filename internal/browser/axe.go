package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// axe is axe-core 4.14.1 by Deque Systems (MPL-2.0, testdata/axe.LICENSE):
// https://github.com/dequelabs/axe-core
//
//go:embed testdata/axe.min.js
var axe string

// standards are the rules that pages keep: WCAG 2.2 up to AA, and what axe-core holds
// to be good practice.
var standards = []string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"}

// shorten takes rows out of long tables: those before stand for them, and looking at
// all takes most of the time.
const shorten = `for (const e of document.querySelectorAll("tbody tr:nth-child(n+7)")) e.remove(); true`

// colourRules are those that the colour scheme makes a difference for.
var colourRules = []string{"color-contrast", "link-in-text-block"}

// Violation is a rule that a page breaks, and where.
type Violation struct {
	ID, Help string
	Nodes    []struct {
		Target         []json.RawMessage // selectors
		HTML           string
		FailureSummary string
	}
}

func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.ID, v.Help)
	for i, n := range v.Nodes {
		if i == 3 {
			fmt.Fprintf(&b, "\n  and %d more", len(v.Nodes)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s %s\n    %s", n.Target, cut(n.HTML), strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
	}
	return b.String()
}

// Violations is what keeps people out of the page as it is now, or makes it hard to
// use. Rows of tables after the first six are taken out of the page for it.
func (tab *Tab) Violations() []Violation {
	tab.t.Helper()
	return tab.axe(map[string]any{"runOnly": map[string]any{"type": "tag", "values": standards}})
}

// ColourViolations is [Tab.Violations] of the rules about colours alone.
func (tab *Tab) ColourViolations() []Violation {
	tab.t.Helper()
	return tab.axe(map[string]any{"runOnly": map[string]any{"type": "rule", "values": colourRules}})
}

func (tab *Tab) axe(options map[string]any) []Violation {
	tab.t.Helper()
	options["reporter"] = "no-passes" // others take as long as the rules
	options["preload"] = false        // nothing is fetched anew
	encoded, err := json.Marshal(options)
	tab.must("write the options of axe-core", err)
	Eval[bool](tab, shorten)
	if !Eval[bool](tab, `!!window.axe`) {
		Eval[bool](tab, axe+"\n;true")
	}
	// What is found goes out as text, as any page may be given strings only.
	found := Eval[string](tab, fmt.Sprintf(`axe.run(document, %s).then((r) => JSON.stringify(r.violations))`, encoded))
	var list []Violation
	tab.must("read what axe-core found", json.Unmarshal([]byte(found), &list))
	return list
}
